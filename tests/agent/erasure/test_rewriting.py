"""Rewriting tables in use: nothing is lost, and obstacles are named."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from agent_server.audit.verify import read_head, rows_of, verify
from agent_server.cases.tables import CASES
from agent_server.database.engine import connect, writing
from agent_server.ledger import open_engine
from agent_server.ledger.chain import Kind
from agent_server.ledger.migrate import migrate
from agent_server.ledger.schema import ATTEMPTS, PAYLOADS
from agent_server.privacy import Erase
from agent_server.privacy.log import empty_sqlite_log
from agent_server.privacy.progress import Stage
from agent_server.privacy.rewriting import TableRewriter
from agent_server.privacy.scrubbing import dialect_of
from agent_server.privacy.tables import PERSONAL_TABLES
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.errors import NotAvailable, Unavailable
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision
from testing.ledger.erasure import Shop, call_by
from testing.ledger.templates import new_ledger, new_ledger_on
from testing.servers.postgres import Postgres, name_of

LEASE = 600_000_000
NOW = 1_790_000_000
T = TypeVar("T")


def _schema(engine: sa.Engine) -> dict[str, Any]:
    """Return the tables with their columns and indexes, unordered."""
    found = sa.inspect(engine)
    return {
        table: (
            found.get_columns(table).__repr__(),
            found.get_pk_constraint(table)["constrained_columns"],
            sorted(repr(index | {"dialect_options": _as_text(index)}) for index in found.get_indexes(table)),
        )
        for table in found.get_table_names()
    }


def _as_text(index: Any) -> dict[str, str]:
    """Return the options of an index, with conditions of partial ones as text."""
    return {name: str(option) for name, option in index.get("dialect_options", {}).items()}


def test_a_copy_follows_all_changes(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows inserted, changed and deleted between two steps of a copy are the same in the new table."""
    monkeypatch.setattr("agent_server.privacy.rewriting.RENEWAL_SECONDS", -1.0)  # before each step
    engine = open_engine(ledger_url)
    schema = _schema(engine)
    for table in PERSONAL_TABLES:
        _copy_under_changes(engine, table, random.Random(1))
    assert _schema(engine) == schema
    engine.dispose()


def _copy_under_changes(engine: sa.Engine, table: sa.Table, chance: random.Random) -> None:
    key = list(table.primary_key.columns)

    def row() -> dict[str, Any]:
        return {column.name: _value(column, chance) for column in table.columns}

    def change(connection: sa.Connection) -> None:
        for _ in range(chance.randrange(8)):
            kind, rows = chance.randrange(3), connection.execute(sa.select(*key)).all()
            if kind == 0 or not rows:
                new = row()
                same = sa.and_(*(column == new[column.name] for column in key))
                if connection.execute(sa.select(*key).where(same)).first() is None:
                    connection.execute(table.insert().values(new))
                continue
            same = sa.and_(*(column == value for column, value in zip(key, chance.choice(rows), strict=True)))
            if kind == 1:
                connection.execute(table.delete().where(same))
            else:
                others = {name: value for name, value in row().items() if name not in {column.name for column in key}}
                connection.execute(table.update().where(same).values(others)) if others else None

    with writing(engine) as connection:
        with connection.begin():
            rows = {tuple(one[column.name] for column in key): one for one in (row() for _ in range(30))}
            connection.execute(table.delete())
            connection.execute(table.insert(), list(rows.values()))
        rewriting = TableRewriter(connection, dialect_of(engine), change, rows=7)
        rewriting.copy(table)
        with connection.begin():
            change(connection)
            before = set(connection.execute(sa.select(table)).all())
        TableRewriter(connection, dialect_of(engine), lambda one: None).swap(table)
        with connection.begin():
            assert set(connection.execute(sa.select(table)).all()) == before


def _value(column: sa.Column[Any], chance: random.Random) -> Any:
    if isinstance(column.type, sa.Boolean):
        return chance.random() < 0.5
    if isinstance(column.type, sa.SmallInteger):
        return chance.randrange(4)
    if isinstance(column.type, sa.Integer):
        return chance.randrange(-500, 500)
    if isinstance(column.type, sa.Float):
        return chance.random()
    if isinstance(column.type, sa.LargeBinary):
        return chance.randbytes(chance.choice((3, 5000)))
    return f"{chance.randrange(500):x}"


def test_copies_that_page_splits_left_are_removed(tmp_path: Path) -> None:
    """SQLite overwrites a deleted row, but not the remains of page splits; the new table has none."""
    path = tmp_path / "ledger.db"
    engine = open_engine(new_ledger(path))
    for seed in range(2):
        chance = random.Random(seed)
        with writing(engine) as connection:
            with connection.begin():
                for number in range(3000):
                    text = f"{chance.getrandbits(32):08x}-{'erasable' if number % 9 == 0 else 'anothers'}"
                    values = {"sequence": number, "transaction_id": text, "user_id": "u", "content_digest": b""}
                    connection.execute(PAYLOADS.insert().values(values | {"salt": b"", "payload": b""}))
            with connection.begin():
                connection.execute(PAYLOADS.delete().where(PAYLOADS.c.transaction_id.endswith("-erasable")))
            rewriting = TableRewriter(connection, dialect_of(engine), lambda one: None)
            rewriting.copy(PAYLOADS)
            rewriting.swap(PAYLOADS)
            empty_sqlite_log(engine)
            assert b"-erasable" not in path.read_bytes()
            with connection.begin():
                connection.execute(PAYLOADS.delete())
    engine.dispose()


def _as_user(postgres: Postgres, url: str, *statements: str) -> str:
    """Return the URL of the same database for a user who owns only its tables, after statements run by a superuser."""
    name = name_of(url)
    role = f"shop_{name}"
    with postgres.connect(name) as connection:
        for statement in (f'CREATE ROLE "{role}" LOGIN', f'GRANT CREATE ON SCHEMA public TO "{role}"', *statements):
            connection.execute(statement.format(role=role).encode())
    return url.replace("postgres@", f"{role}@")


async def test_rights_that_are_missing_are_named(postgres: Postgres) -> None:
    """The grants that a database user lacks for statistics or the log are reported; then the erasure finishes."""
    url = postgres.new_database()
    shop = Shop(_as_user(postgres, url))
    await shop.ledger.write(new_decision(1, user_id="gone"))
    await shop.erase("gone")
    progress = await shop.work.finish(120)
    assert progress.stage is Stage.TABLES
    assert "does not own the database" in progress.waiting_for
    name = name_of(url)
    with postgres.connect(name) as connection:
        connection.execute(f'ALTER DATABASE "{name}" OWNER TO "shop_{name}"'.encode())
    await shop.erase("gone")
    progress = await shop.work.finish(120)
    assert progress.stage is Stage.LOG
    assert "pg_monitor" in progress.waiting_for
    with postgres.connect(name) as connection:
        connection.execute(f'GRANT pg_monitor, pg_checkpoint TO "shop_{name}"'.encode())
        connection.execute(f'GRANT EXECUTE ON FUNCTION pg_switch_wal() TO "shop_{name}"'.encode())
    while (await shop.work.finish(60)).stage is not Stage.DONE:
        pass
    await shop.close()


async def test_objects_of_others_in_the_database_stay(postgres: Postgres) -> None:
    """Rights on tables stay; a view that blocks the swap, and a slot that retains the log, are named."""
    url = new_ledger_on(postgres)
    shop, name = Shop(url), name_of(url)
    await shop.ledger.write(new_decision(1, user_id="gone"))
    with postgres.connect(name) as connection:
        connection.execute(f'CREATE ROLE "reports_{name}"'.encode())
        connection.execute(f'GRANT SELECT ON cases TO "reports_{name}"'.encode())
        connection.execute(b"CREATE VIEW mine AS SELECT * FROM payloads")
        connection.execute(f"SELECT pg_create_physical_replication_slot('{name}', true)".encode())
    await shop.erase("gone")
    progress = await shop.work.finish(120)
    assert "depend on the table payloads" in progress.waiting_for
    with postgres.connect(name) as connection:
        connection.execute(b"DROP VIEW mine")
    await shop.erase("gone")
    progress = await shop.work.finish(120)
    assert progress.stage is Stage.LOG
    assert "keeps old segments" in progress.waiting_for
    with postgres.connect(name) as connection:
        connection.execute(f"SELECT pg_drop_replication_slot('{name}')".encode())
        granted = f"SELECT has_table_privilege('reports_{name}', 'cases', 'SELECT')".encode()
        assert connection.execute(granted).fetchone() == (True,)
    while (await shop.work.finish(60)).stage is not Stage.DONE:
        pass
    await shop.close()


async def retry_until_answered(call: Callable[[], Awaitable[T]]) -> T:
    """Retry a call until it is answered, as clients do: the machine may be busy."""
    while True:
        with contextlib.suppress(Unavailable):
            return await call()


async def test_reviews_go_on_while_tables_are_rewritten(ledger_url: str) -> None:
    """During repeated rewrites, orders, verdicts and erasures go on, and every acknowledged one is recorded."""
    shop, chance = Shop(ledger_url), random.Random(7)
    schema = _schema(shop.engine)
    for number in range(120):
        await shop.ledger.write(new_decision(f"before-{number}", user_id=f"user-{number % 6}", order_amount=5.0))
    answered: dict[str, str] = {}
    stopped = asyncio.Event()

    async def customers(name: str) -> None:
        number = 0
        while not stopped.is_set():
            number += 1
            order = message(transaction_id=f"{name}-{number}", user_id=f"{name}-user-{number % 9}", order_amount=3.0)
            answer = await retry_until_answered(lambda order=order: shop.review(order))  # type: ignore[misc]
            answered[order.transaction_id] = answer.decision_id
            await asyncio.sleep(0.04)
            if chance.random() < 0.3:
                with contextlib.suppress(Unavailable, NotAvailable):
                    await shop.judge(answer.case_id, name, "words")

    async def erasures() -> None:
        for number in range(3):
            await retry_until_answered(lambda user=f"user-{number}": shop.ledger.write(Erase(user_id=user)))  # type: ignore[misc]
            while (await shop.work.finish(60)).stage is not Stage.DONE:
                pass
        stopped.set()

    await asyncio.gather(customers("ada"), customers("bob"), erasures())
    assert _schema(shop.engine) == schema
    with shop.engine.connect() as connection:
        assert not verify(rows_of(connection), read_head(connection), None).broken
        rows = connection.execute(sa.select(PAYLOADS.c.transaction_id, PAYLOADS.c.memory_number)).all()
        remembered = set(
            connection.execute(sa.select(ATTEMPTS.c.number).where(ATTEMPTS.c.user_id.is_not(None))).scalars()
        )
        if ledger_url.startswith("sqlite"):
            assert connection.execute(sa.text("PRAGMA integrity_check")).scalar_one() == "ok"
    decided = {row.transaction_id for row in rows}
    assert {name for name in decided if not name.startswith("tbefore")} == set(answered)
    assert {row.memory_number for row in rows} - {None} == remembered
    for transaction_id, decision_id in list(answered.items())[::10]:
        found = await shop.agent.GetDecision(pb.GetDecisionRequest(transaction_id=transaction_id), call_by("shop"))
        assert decision_id in (found.record.decision_id, found.record.replaces_decision_id)
    await shop.close()


async def test_erasures_of_earlier_versions_are_finished(empty_url: str) -> None:
    """A ledger of revision 0007 with an erasure loses amounts derivable from urgency; its tables are rewritten once."""
    engine = connect(empty_url)
    with writing(engine) as connection, connection.begin():
        migrate(connection, "0007")
        found = sa.MetaData()
        found.reflect(connection, only=["entries", "cases"])
        entry = {"sequence": 1, "entry_id": "e", "at": NOW, "decision": 2, "facts": b"", "commitment": b"", "hash": b""}
        connection.execute(found.tables["entries"].insert().values(entry | {"kind": int(Kind.DECISION)}))
        erasure = {"sequence": 2, "entry_id": "f", "kind": int(Kind.ERASURE)}
        connection.execute(found.tables["entries"].insert().values(entry | erasure))
        case: dict[str, Any] = dict.fromkeys(
            ("reason", "recommendation", "round", "golden", "claim_token", "verdict"), 1
        )
        case |= dict.fromkeys(("reviewer", "abuse_type", "reason_code", "review_of", "note"), "")
        case |= {"case_id": "c", "opened_by": 1, "sequence": 1, "opened_at": 5_000, "urgency": 4_000, "due_at": 9_000}
        case |= {"expected_loss": 0.0, "status": cases.CASE_STATUS_OPEN, "held": False}
        connection.execute(found.tables["cases"].insert().values(case))
    engine.dispose()
    shop = Shop(empty_url)
    assert (await shop.work.progress()).stage is Stage.TABLES
    while (await shop.work.progress()).stage is not Stage.DONE:
        await shop.work.run_once()
    with shop.engine.connect() as connection:
        row = connection.execute(sa.select(CASES)).one()
    assert (row.urgency, row.status) == (row.opened_at, cases.CASE_STATUS_RESOLVED)
    await shop.close()
