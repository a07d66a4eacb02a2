"""Erasures concurrent with backups, migrations, imports and golden orders, and with others' database objects."""

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.audit.verify import verify_ledger
from agent_server.backup.copying import back_up, restore
from agent_server.cases.tables import CASES
from agent_server.database.engine import connect, writing
from agent_server.decisions.policy import Policy
from agent_server.feedback.golden_cases import GoldenCases, GoldenOrder
from agent_server.history_store.attempts import RecordAttempt
from agent_server.history_store.compaction import compactable_until
from agent_server.history_store.importing import HistoryImport
from agent_server.ledger import Ledger, open_engine, reading
from agent_server.ledger.chain import Kind
from agent_server.ledger.migrate import migrate
from agent_server.ledger.removal import request_removal
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from agent_server.policies.current import CurrentPolicy
from agent_server.privacy import Erase
from agent_server.privacy.footprint import footprint, orders_in_history
from agent_server.privacy.progress import Stage
from agent_server.privacy.rewriting import TableRewriter
from agent_server.privacy.scrubbing import Scrubber, dialect_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.inputs.orders import message
from testing.ledger.decisions import append_decisions, new_decision
from testing.ledger.erasure import past_of
from testing.ledger.templates import new_ledger, new_ledger_on
from testing.servers.postgres import Postgres, name_of
from testing.waiting import wait_for

_MADE = {
    "sqlite": (
        "CREATE TABLE theirs (name TEXT)",
        "CREATE TRIGGER told AFTER INSERT ON cases WHEN NEW.note NOT LIKE '%x' "
        "BEGIN INSERT INTO theirs VALUES (NEW.case_id); END",
    ),
    "postgresql": (
        "CREATE TABLE theirs (name TEXT)",
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO theirs VALUES (NEW.case_id); RETURN NULL; END $$",
        "CREATE TRIGGER told AFTER INSERT ON cases FOR EACH ROW WHEN (NEW.note NOT LIKE '%%x') EXECUTE FUNCTION tell()",
    ),
}


def _run(engine: sa.Engine, *statements: str) -> None:
    with writing(engine) as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)


def _request(engine: sa.Engine) -> None:
    with writing(engine) as connection, connection.begin():
        connection.execute(request_removal())


def _finish(engine: sa.Engine) -> None:
    scrubber = Scrubber(engine)
    wait_for(lambda: scrubber.run().stage is Stage.DONE, what="the removal")


def _copies(engine: sa.Engine) -> list[str]:
    return [name for name in sa.inspect(engine).get_table_names() if name.startswith(("rewrite_", "rewritten_"))]


def _holds(url: str) -> None:
    with reading(url) as connection:
        verified = verify_ledger(connection, None)
    assert not verified.broken, verified.broken


def test_views_of_others_do_not_hinder_sqlite_and_stay(tmp_path: Path) -> None:
    """A view on a table, even a broken one, is unchanged by an erasure, and the erasure finishes."""
    url = new_ledger(tmp_path / "ledger.db")
    append_decisions(url, 3, new_decision)
    engine = open_engine(url)
    _run(engine, "CREATE VIEW report AS SELECT case_id FROM cases", "CREATE VIEW broken AS SELECT * FROM nowhere")
    for _ in range(2):
        _request(engine)
        assert Scrubber(engine).run().stage is Stage.DONE
        with engine.connect() as connection:
            assert len(connection.exec_driver_sql("SELECT * FROM report").all()) == 3
    assert not _copies(engine)
    engine.dispose()


def test_triggers_of_others_stay(ledger_url: str) -> None:
    """A trigger on a table fires after an erasure as before, once for each row."""
    append_decisions(ledger_url, 2, new_decision)
    engine = open_engine(ledger_url)
    _run(engine, *_MADE[engine.dialect.name])
    for number in range(2):
        _request(engine)
        _finish(engine)
        append_decisions(ledger_url, 1, lambda _, number=number: new_decision(f"later-{number}"))  # type: ignore[misc]
        with engine.connect() as connection:
            assert len(connection.exec_driver_sql("SELECT * FROM theirs").all()) == number + 1
    engine.dispose()


def test_a_restore_over_a_ledger_removes_its_bytes_and_half_made_copies(postgres: Postgres, tmp_path: Path) -> None:
    """PostgreSQL's files keep rows that a restore deletes, and unfinished copies: both are pending afterwards."""
    other, url = new_ledger(tmp_path / "other.db"), postgres.new_database()
    append_decisions(other, 2, new_decision)
    back_up(other, tmp_path / "backup.db", force=False)
    restore(tmp_path / "backup.db", url, force=False)
    engine = open_engine(url)
    assert Scrubber(engine).progress().stage is Stage.DONE, "nothing was in an empty database"
    append_decisions(url, 5, lambda number: new_decision(f"replaced-{number}"))
    _request(engine)
    with writing(engine) as connection:
        TableRewriter(connection, dialect_of(engine), lambda one: None).copy(CASES)
    restore(tmp_path / "backup.db", url, force=True)
    assert Scrubber(engine).progress().stage is Stage.TABLES
    _finish(engine)
    assert not _copies(engine)
    _holds(url)
    engine.dispose()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_backup_during_a_rewrite(ledger_url: str, tmp_path: Path, swapped: bool) -> None:
    """A backup during a rewrite restores into either database, verifies, is writable, and the erasure finishes."""
    append_decisions(ledger_url, 7, new_decision)
    engine = open_engine(ledger_url)
    _request(engine)
    with writing(engine) as connection:
        rewriting = TableRewriter(connection, dialect_of(engine), lambda one: None, rows=2)
        rewriting.copy(CASES)
        if swapped:
            rewriting.dispose = lambda table: None  # type: ignore[method-assign]
            rewriting.swap(CASES)
    back_up(ledger_url, tmp_path / "backup.db", force=False)
    url = f"sqlite:///{tmp_path / 'restored.db'}"
    restore(tmp_path / "backup.db", url, force=False)
    _holds(url)
    append_decisions(url, 2, lambda number: new_decision(f"later-{number}"))
    restored = open_engine(url)
    _finish(restored)
    assert not _copies(restored)
    _holds(url)
    restored.dispose()
    engine.dispose()


def test_tables_of_another_version_are_not_rewritten(ledger_url: str) -> None:
    """A column of a later version, added before or during a copy, is not lost: the rewrite waits."""
    append_decisions(ledger_url, 2, new_decision)
    engine = open_engine(ledger_url)
    _request(engine)
    with writing(engine) as connection:
        rewriting = TableRewriter(connection, dialect_of(engine), lambda one: None)
        rewriting.copy(PAYLOADS)
        connection.rollback()
        _run(engine, "ALTER TABLE payloads ADD COLUMN later INTEGER DEFAULT 7")
        with pytest.raises(Exception, match="another version"):
            rewriting.swap(PAYLOADS)
        connection.rollback()
        rewriting.dispose(PAYLOADS)
    progress = Scrubber(engine).run()
    assert progress.stage is Stage.TABLES and "another version" in progress.waiting_for
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT later FROM payloads").scalars().all() == [7, 7]
    engine.dispose()


def test_a_migration_waits_for_a_write_that_is_under_way(postgres: Postgres) -> None:
    """An agent of the previous version writes while one of this version starts: neither restarts after a deadlock."""
    url = postgres.new_database()
    engine = connect(url)
    with writing(engine) as connection, connection.begin():
        migrate(connection, "0007")
    failed: list[BaseException] = []

    def start() -> None:
        try:
            open_engine(url).dispose()
        except BaseException as error:
            failed.append(error)

    waits = b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    thread = threading.Thread(target=start)
    with writing(engine) as connection, connection.begin():
        connection.exec_driver_sql("SELECT sequence FROM head FOR UPDATE").all()
        thread.start()
        with postgres.connect(name_of(url)) as other:
            wait_for(lambda: other.execute(waits).fetchone() == (1,), what="the migration to wait")
        connection.exec_driver_sql("UPDATE cases SET note = ''")
    thread.join()
    with postgres.connect(name_of(url)) as other:
        deadlocks = other.execute(
            b"SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert (failed, deadlocks) == ([], (0,))
    _holds(url)
    engine.dispose()


class _Scorer:
    """Gives golden orders a score between the thresholds, and runs a callback meanwhile."""

    def __init__(self, ledger: Ledger, erased: str) -> None:
        self._ledger, self._erased = ledger, erased

    async def predict_many(self, orders: list[Any]) -> list[PredictResponse]:
        await self._ledger.write(Erase(user_id=self._erased))
        return [PredictResponse(legitimacy_score=0.55, model_version="m") for _ in orders]


async def test_no_golden_copy_is_made_of_an_order_that_is_erased_meanwhile(ledger_url: str) -> None:
    """An order that is erased between drawing and writing its golden copy leaves no copy."""
    ledger = Ledger(open_engine(ledger_url))
    for erased, copies in (("anna", 0), ("nobody", 1)):
        await ledger.write(new_decision(1001, user_id="anna"))
        scorer: Any = _Scorer(ledger, erased)
        policy = CurrentPolicy(Policy(0.7, 0.4, minimum_evidence=0))
        golden = GoldenCases(ledger, scorer, policy, [GoldenOrder(message(), pb.DECISION_DENY)], 1.0, random.Random(1))
        await golden.open_similar(message(transaction_id="t1001", user_id="anna"), "shop")
        left = sa.select(sa.func.count()).select_from(ENTRIES).where(ENTRIES.c.kind == int(Kind.GOLDEN))
        assert await ledger.read(lambda rows, left=left: rows.execute(left).scalar_one()) == copies  # type: ignore[misc]
    ledger.close()


@pytest.mark.parametrize("hours", [-5, 5])
async def test_another_clock_does_not_let_an_import_restore_an_erased_person(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """With a clock hours fast or slow, a running import leaves the erased person out, and nothing is compacted."""
    engine = open_engine(new_ledger_on(postgres))
    ledger, importing, right = Ledger(engine), HistoryImport(engine), time.time
    importing.add(past_of("gone", range(1_700_000_000, 1_700_000_010), 5.0))
    monkeypatch.setattr("time.time", lambda: right() + 3600 * hours)
    assert await ledger.read(compactable_until(1, int(time.time()))) is None
    await ledger.write(Erase(user_id="gone"))
    monkeypatch.setattr("time.time", right)
    importing.add(past_of("gone", range(1_700_000_100, 1_700_000_110), 5.0))
    importing.finish()
    assert not await ledger.read(footprint("gone"))
    ledger.close()


async def test_find_export_and_erase_agree(ledger_url: str) -> None:
    """Contents replaced before a decision, also by another account, are found, exported and erased."""
    ledger = Ledger(open_engine(ledger_url))
    for person, amount in (("anna", 7.0), ("anna", 8.0), ("bert", 9.0)):
        await ledger.write(RecordAttempt(message(transaction_id="shared", user_id=person, order_amount=amount)))
    for person, amounts in (("anna", [7.0, 8.0]), ("bert", [9.0]), ("nobody", [])):
        orders, more = await ledger.read(orders_in_history(person, None))
        assert ([order.order_amount for order in orders], more) == (amounts, None)
        assert (await ledger.read(footprint(person))).remembered == len(amounts)
        assert (await ledger.write(Erase(user_id=person))).remembered == len(amounts)
        assert not await ledger.read(footprint(person))
    ledger.close()
