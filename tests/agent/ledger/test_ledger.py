"""The ledger: decisions are recorded once and read back unchanged, on SQLite and on PostgreSQL."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.audit.verify import verify_ledger
from agent_server.cases.queries import CaseFilter, case_page, whole_case
from agent_server.database.engine import writing
from agent_server.ledger import Ledger, LedgerError, open_engine
from agent_server.ledger.queries import DecisionFilter, latest_record, record_page
from agent_server.ledger.recording import RecordedDecision
from agent_server.ledger.schema import ENTRIES
from agent_server.tables import METADATA
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision


async def test_decisions_and_cases_are_recorded(ledger_url: str) -> None:
    """A decision, its record and its case are read back unchanged, also by another process's connection."""
    ledger = Ledger(open_engine(ledger_url))
    recorded = await asyncio.gather(*(ledger.write(new_decision(number)) for number in range(7)))
    record = await ledger.read(latest_record("t3"))
    assert record is not None
    assert record.answer == recorded[3].answer
    assert record.transaction == message(transaction_id="t3")
    assert (record.caller, record.request_id, record.model_version) == ("shop", "request-3", "m1")
    assert (record.revision, record.erased, record.degraded, record.policy_digest) == (1, False, False, "d" * 64)
    assert await ledger.read(latest_record("none")) is None
    page, following = await ledger.read(case_page(CaseFilter(), None, 5))
    rest, end = await ledger.read(case_page(CaseFilter(), following, 5))
    assert {case.transaction_id for case in (*page, *rest)} == {f"t{number}" for number in range(7)}
    assert (len(page), len(rest), end) == (5, 2, None)
    whole = await ledger.read(whole_case(recorded[2].answer.case_id))
    assert whole is not None
    assert (whole.transaction, whole.review) == (message(transaction_id="t2"), recorded[2].answer)
    assert (whole.case.status, whole.case.reason) == (cases.CASE_STATUS_OPEN, cases.CASE_REASON_UNCERTAIN)
    ledger.close()
    engine = open_engine(ledger_url)
    with engine.connect() as connection:
        assert verify_ledger(connection, None).entries == 7
    engine.dispose()


async def test_the_same_order_gets_the_same_answer(ledger_url: str) -> None:
    """The same content gets the recorded bytes; other content is a revision that names the previous one."""
    ledger = Ledger(open_engine(ledger_url))
    first = await ledger.write(new_decision(1))
    again = await ledger.write(new_decision(1))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.answer.SerializeToString() == first.answer.SerializeToString()
    other = await ledger.write(new_decision(1, pb.DECISION_APPROVE, order_amount=5.0))
    assert (other.replayed, other.answer.revision) == (False, 2)
    assert other.answer.replaces_decision_id == first.answer.decision_id
    late = await ledger.write(new_decision(1))  # a retry that was delayed for long
    assert late.answer.SerializeToString() == first.answer.SerializeToString()
    record = await ledger.read(latest_record("t1"))
    assert record is not None
    assert record.answer == other.answer
    case = await ledger.read(whole_case(first.answer.case_id))
    assert case is not None
    assert (case.case.status, case.case.verdict) == (cases.CASE_STATUS_RESOLVED, pb.DECISION_APPROVE)
    ledger.close()


async def test_duplicates_through_two_agents_are_one_decision(ledger_url: str) -> None:
    """Two hundred concurrent calls with one order, through two ledgers, give one record, one case and equal bytes."""
    ledgers = [Ledger(open_engine(ledger_url)) for _ in range(2)]
    recorded: list[RecordedDecision] = await asyncio.gather(
        *(ledgers[number % 2].write(new_decision("same")) for number in range(200))
    )
    assert len({each.answer.SerializeToString() for each in recorded}) == 1
    assert sum(not each.replayed for each in recorded) == 1
    page, _ = await ledgers[0].read(record_page(DecisionFilter(), 0, 100))
    opened, _ = await ledgers[0].read(case_page(CaseFilter(), None, 100))
    assert (len(page), len(opened)) == (1, 1)
    for ledger in ledgers:
        ledger.close()


async def test_pages_skip_nothing_while_others_write(ledger_url: str) -> None:
    """A reader that follows the pages while two ledgers write sees every decision once, in order."""
    ledgers = [Ledger(open_engine(ledger_url)) for _ in range(2)]
    writes = [asyncio.create_task(ledgers[number % 2].write(new_decision(number))) for number in range(120)]
    seen, after = list[int](), 0
    while len(seen) < 120:
        page, _ = await ledgers[0].read(record_page(DecisionFilter(), after, 7))
        seen += [record.sequence for record in page]
        after = seen[-1] if seen else 0
    await asyncio.gather(*writes)
    assert seen == list(range(1, 121))
    for ledger in ledgers:
        ledger.close()


async def test_decisions_are_listed_by_what_is_known_of_them(ledger_url: str) -> None:
    """Decisions are listed by transaction, user, time and decision, with all revisions."""
    ledger = Ledger(open_engine(ledger_url))
    for number in range(6):
        decision = pb.DECISION_DENY if number % 2 else pb.DECISION_APPROVE
        await ledger.write(new_decision(number, decision, user_id=f"user-{number % 3}"))
    await ledger.write(new_decision(0, pb.DECISION_DENY, user_id="user-0", order_amount=3.0))
    every, _ = await ledger.read(record_page(DecisionFilter(), 0, 100))
    moments = [record.decided_at.ToMicroseconds() for record in every]

    async def listed(wanted: DecisionFilter) -> list[int]:
        page, _ = await ledger.read(record_page(wanted, 0, 100))
        return [record.sequence for record in page]

    assert await listed(DecisionFilter(transaction_id="t0")) == [1, 7]
    assert await listed(DecisionFilter(user_id="user-1")) == [2, 5]
    assert await listed(DecisionFilter(decision=pb.DECISION_DENY)) == [2, 4, 6, 7]
    assert await listed(DecisionFilter(since=moments[2], until=moments[4])) == [3, 4]
    assert await listed(DecisionFilter(user_id="user-0", decision=pb.DECISION_DENY)) == [4, 7]
    ledger.close()


async def test_one_bad_write_does_not_undo_its_neighbours(ledger_url: str) -> None:
    """In a group commit, a write that violates a constraint fails alone."""
    ledger = Ledger(open_engine(ledger_url))
    writes = [new_decision(1), new_decision(2), new_decision(3), new_decision(4)]
    writes[2]._answer.decision_id = writes[0]._answer.decision_id
    results = await asyncio.gather(*(ledger.write(write) for write in writes), return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False, False, True, False]
    assert await ledger.read(latest_record("t4")) is not None
    ledger.close()


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/ledger.db", "no url", "nosuch://user:hunter2@host/db"])
def test_a_ledger_that_cannot_be_opened_says_so(url: str) -> None:
    """A wrong URL is an error that names the setting and never contains the password."""
    with pytest.raises(LedgerError, match="VOUCH_AGENT_LEDGER_URL") as caught:
        open_engine(url)
    assert "hunter2" not in str(caught.value)


def test_many_open_a_fresh_ledger_at_once(empty_url: str) -> None:
    """Eight concurrent openings of an empty database all succeed, and the tables are the schema's."""
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(open_engine, [empty_url] * 8))
    found = sa.inspect(engines[0])
    assert set(found.get_table_names()) == {*METADATA.tables, "alembic_version"}
    for name, table in METADATA.tables.items():
        assert [column["name"] for column in found.get_columns(name)] == table.columns.keys()
        assert {index["name"] for index in found.get_indexes(name)} >= {index.name for index in table.indexes}
    for engine in engines:
        engine.dispose()


def _described(index: Any) -> str:
    """Return an index with its conditions as texts."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return repr({**index, "dialect_options": options})


def test_a_copied_ledger_is_as_a_first_start_leaves_it(
    ledger_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A copy has the tables and rows of a new ledger, and its own times and keys."""
    sqlite = ledger_url.startswith("sqlite")
    other = f"sqlite:///{tmp_path / 'new.db'}" if sqlite else request.getfixturevalue("postgres").new_database()
    found = []
    for url in (ledger_url, other):
        engine = open_engine(url)
        inspector = sa.inspect(engine)
        tables = {
            name: (repr(inspector.get_columns(name)), sorted(map(_described, inspector.get_indexes(name))))
            for name in inspector.get_table_names()
        }
        with engine.connect() as connection:
            rows = {
                name: [row._asdict() for row in connection.execute(sa.select(table))]
                for name, table in METADATA.tables.items()
            }
        engine.dispose()
        (memory,) = rows.pop("memory")
        found.append((memory.pop("key"), memory.pop("since"), memory, tables, rows))
    (key, since, *copied), (other_key, other_since, *made) = found
    assert copied == made
    assert key != other_key and 0 <= other_since - since < 3600


def test_a_ledger_of_a_newer_program_is_refused(ledger_url: str) -> None:
    """An older program does not touch tables of a newer version, and says what to do."""
    engine = open_engine(ledger_url)
    with writing(engine) as connection, connection.begin():
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerError, match="newer program"):
        open_engine(ledger_url)


def test_the_ledger_is_private_to_its_owner(tmp_path: Path) -> None:
    """The ledger's files are readable by their owner only, also if they were readable by all before."""
    path = tmp_path / "ledger.db"
    open_engine(f"sqlite:///{path}").dispose()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    engine = open_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.execute(sa.select(ENTRIES))
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    engine.dispose()


async def test_only_an_idle_writer_is_ended(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL ends the writer's connection if it idles within a transaction; readers may idle."""
    if not ledger_url.startswith("postgresql"):
        pytest.skip("SQLite has no server that could end a connection")
    monkeypatch.undo()  # the limit without the wider one of these tests
    engine, query = open_engine(ledger_url), sa.text("SHOW idle_in_transaction_session_timeout")
    ledger = Ledger(engine)
    assert await ledger.write(lambda group: group.execute(query).scalar_one()) == "1s"
    with engine.connect() as connection:
        assert connection.execute(query).scalar_one() == "0"
    ledger.close()
