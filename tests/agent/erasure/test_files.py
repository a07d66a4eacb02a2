"""Erasure leaves nothing of a person in any database file, and reports what is not yet removed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent_server.audit.verify import read_head, rows_of, verify
from agent_server.cases.golden_copies import record_origin
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.database.engine import writing
from agent_server.history_store.attempts import RecordAttempt
from agent_server.history_store.compaction import CompactionJob
from agent_server.ledger.chain import Kind
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.transaction import LedgerTransaction, digest_of
from agent_server.privacy.progress import Stage
from agent_server.privacy.rewriting import TableRewriter
from agent_server.privacy.scrubbing import dialect_of
from agent_server.privacy.tables import PERSONAL_TABLES
from agent_server.tables import METADATA
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import privacy_service_pb2 as privacy
from history.definitions import DAY, LONGEST, NEEDED
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for
from testing.ledger.erasure import Shop, call_by, found_in, import_past, marked_order, past_of, patterns_of, values_in
from testing.servers.postgres import Postgres

KEPT, DELETED, EMPTIED = "kept", "deleted", "emptied"
FATES: dict[str, dict[str, str]] = {
    "entries": dict.fromkeys(
        ("sequence", "kind", "entry_id", "at", "decision", "facts", "commitment", "hash"), KEPT
    ),  # the decision without the person: its commitment is salted, and the salt is deleted
    "payloads": dict.fromkeys(
        ("sequence", "transaction_id", "user_id", "content_digest", "salt", "payload", "memory_number"), DELETED
    ),
    "cases": {
        **dict.fromkeys(
            (
                "case_id", "opened_by", "sequence", "opened_at", "status", "reason", "legitimacy_score", "recommendation",
                "resolved_at", "verdict", "due_at", "claim_token", "claimed_until", "abuse_type", "claimed_at", "round",
                "review_of", "hidden_entry", "held", "golden", "counts_from",
            ),
            KEPT,
        ),
        "reviewer": KEPT,  # of the staff
        **dict.fromkeys(("note", "expected_loss", "urgency", "reason_code", "salt"), EMPTIED),
    },
    "golden_copies": dict.fromkeys(("sequence", "person"), DELETED),
    "case_changes": dict.fromkeys(("change", "case_id", "kind"), KEPT),
    "case_events": {**dict.fromkeys(("case_id", "number", "at", "kind", "actor"), KEPT), "text": EMPTIED, "salt": EMPTIED},
    "outcomes": dict.fromkeys(
        (
            "outcome_id", "sequence", "kind", "occurred_at", "source", "abuse_type", "reported_at", "reported_by", "salt",
        ),
        DELETED,
    ),
    "attempts": {
        **dict.fromkeys(("number", "at", "counts"), KEPT),
        **dict.fromkeys(("transaction_id", *NEEDED, "amount"), EMPTIED),
    },
    "replaced_attempts": dict.fromkeys(("number", "transaction_id", "at", *NEEDED, "amount"), DELETED),
    "memory": dict.fromkeys(("id", "since", "number", "key", "folded_until", "importing_until"), KEPT),
    "folded": dict.fromkeys(("user_id", "orders", "units", "amounts", "first", "last"), DELETED),
    "folded_devices": dict.fromkeys(("user_id", "device_id"), DELETED),
    "import_exclusions": {"user_id": DELETED},  # with the end of the import
    "erasure_progress": dict.fromkeys(
        (
            "id", "requested", "rewritten", "cleared", "since", "log_ends_at", "owner", "leased_until", "waiting_for",
        ),
        KEPT,
    ),
    "head": dict.fromkeys(("id", "sequence", "hash", "signature", "rows_number", "rows_hash"), KEPT),
    "row_changes": dict.fromkeys(("number", "content", "hash"), KEPT),  # commitments, whose salts are replaced or deleted
    "proofs": dict.fromkeys(("writer", "content"), KEPT),
}  # fmt: skip
"""The effect of an erasure on every column. A column that is not kept may contain data of a person."""
PERSONAL = [METADATA.tables[table].c[name] for table, row in FATES.items() for name in row if row[name] != KEPT]
UNSEARCHABLE = {
    "payloads.sequence", "payloads.memory_number", "folded.orders", "folded.amounts", "folded.first", "folded.last",
    "outcomes.sequence",
    "golden_copies.sequence", "replaced_attempts.number", "replaced_attempts.at",
    "outcomes.kind", "outcomes.reported_by", "outcomes.abuse_type", "import_exclusions.user_id",
}  # fmt: skip
"""Columns of small numbers and codes, which occur in files by chance, and one that is empty without an import."""
FEW = 4
MARK = "erasable-person-7f3a"
NOW = 1_790_000_000
AMOUNT = 9_182_736.4554


def test_every_column_has_an_erasure_rule() -> None:
    """A new column must declare whether it may contain personal data, and its table must be rewritten if so."""
    assert {name: set(table.c.keys()) for name, table in METADATA.tables.items()} == {
        name: set(row) for name, row in FATES.items()
    }
    assert {column.table.name for column in PERSONAL} == {table.name for table in PERSONAL_TABLES}


Files = Callable[[], list[Path]]


@pytest.fixture
def files(request: pytest.FixtureRequest, ledger_url: str, tmp_path: Path) -> Files:
    """Return all files of the database."""
    if ledger_url.startswith("sqlite"):
        return lambda: sorted(tmp_path.iterdir())
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: server.files(ledger_url)


async def write_personal_data(shop: Shop, mark: str = MARK, amount: float = AMOUNT) -> None:
    """Fill every column that may contain personal data: compacted history, orders, revisions, casework, outcomes."""
    others = [NOW - LONGEST - number * DAY for number in range(10)]
    import_past(shop.engine, past_of("a-neighbour", others, 12.5))
    import_past(shop.engine, past_of(mark, [NOW - 2 * LONGEST - number * DAY for number in range(5)], amount))
    for number in range(12):
        order = message(transaction_id=f"other-order-{number}", user_id=f"other-user-{number}", order_amount=7.25)
        order.timestamp.FromSeconds(NOW + number)
        await shop.review(order)
    for number in range(6):
        order = marked_order(mark, number, amount + number)
        order.timestamp.FromSeconds(NOW + number)
        answer = await shop.review(order, f"{mark}-request")
        if number == 1:
            order.order_amount += 100.0  # a second revision
            answer = await shop.review(order, f"{mark}-request")
        if number < 3:
            await shop.judge(answer.case_id, ("ada", "bob")[number % 2], mark)
            await shop.report(order.transaction_id, mark)
    for amount_now in (amount + 1000, amount + 2000):  # replaced before it was decided
        order = marked_order(mark, 99, amount_now)
        order.timestamp.FromSeconds(NOW + 99)
        await shop.ledger.write(RecordAttempt(order))
    await shop.ledger.write(golden_copy(mark))
    assert await CompactionJob(shop.ledger, LONGEST // DAY + 1).run_once(NOW + DAY) >= 5


def golden_copy(mark: str) -> Callable[[LedgerTransaction], None]:
    """Write a golden order that was made from an order of the person."""

    def write(group: LedgerTransaction) -> None:
        order = marked_order(mark, 100, AMOUNT)
        order.user_id = "nobody"
        opening = NewCase("golden-case", cases.CASE_REASON_UNCERTAIN, golden=pb.DECISION_DENY)
        RecordDecision(order, answer_for(order.transaction_id), DecisionContext("shop", mark, "d" * 64), opening)(group)
        (copied,) = group.revisions(order.transaction_id, Kind.GOLDEN)
        record_origin(group, copied.sequence, [digest_of(group.history.key, mark)])

    return write


def personal_values(shop: Shop) -> dict[str, set[bytes]]:
    """Return the values of the person that occur in files, by column."""
    own = sa.select(METADATA.tables["payloads"].c.sequence)
    with shop.engine.connect() as connection:
        assert connection.execute(own).first() is not None
        found = values_in(connection, PERSONAL)
    others = {pattern for number in range(12) for pattern in patterns_of(f"other-user-{number}")}
    return {name: patterns - others for name, patterns in found.items()}


async def test_nothing_is_left_in_any_file(ledger_url: str, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    """No value of a personal column is in any file: tables, indexes, statistics, logs. The chain still verifies."""
    shop = Shop(ledger_url)
    await write_personal_data(shop)
    before = personal_values(shop)
    with shop.engine.connect() as connection, connection.begin():
        connection.execute(
            sa.text("ANALYZE" if ledger_url.startswith("postgresql") else "SELECT 1")
        )  # it stores values too
    answer = await shop.erase(MARK)
    assert (answer.decisions, answer.cases > 5, answer.outcomes) == (11, True, 3)
    assert answer.remembered_orders >= 6 and answer.folded_orders == 5
    assert (await shop.work.finish(120)).stage is Stage.DONE
    assert found_in(files(), removed_values(before, personal_values(shop))) == {}
    with shop.engine.connect() as connection:
        assert not verify(rows_of(connection), read_head(connection), None).broken
    assert MARK not in capsys.readouterr().out  # nor in the agents' logs
    assert not (await shop.privacy.FindPerson(privacy.FindPersonRequest(user_id=MARK), call_by("admin"))).ByteSize()
    await shop.close()


def removed_values(before: dict[str, set[bytes]], after: dict[str, set[bytes]]) -> set[bytes]:
    """Return, by column, values that the ledger no longer contains. Values with the person's id are found by that."""
    removed = {name: patterns - after[name] for name, patterns in before.items()}
    assert {name for name, patterns in removed.items() if not patterns} == UNSEARCHABLE
    some = (sorted(pattern for pattern in one if MARK.encode() not in pattern)[:FEW] for one in removed.values())
    return {MARK.encode(), *(pattern for few in some for pattern in few)}


@contextlib.contextmanager
def reader(shop: Shop) -> Iterator[None]:
    """Read the ledger in a snapshot, as a report or a backup does."""
    with shop.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        assert connection.execute(sa.text("SELECT count(*) FROM entries")).scalar_one()
        yield


async def test_readers_delay_an_erasure(ledger_url: str, files: Files) -> None:
    """While a reader has an older snapshot, the answer says so and orders are decided; then the erasure finishes."""
    shop = Shop(ledger_url)
    await write_personal_data(shop)
    before = personal_values(shop)
    with reader(shop):
        answer = await shop.erase(MARK)
        assert (answer.decisions, answer.progress.stage) == (11, privacy.ERASURE_STAGE_TABLES)
        assert answer.progress.HasField("since")
        state = await shop.work.finish(120)
        assert state.stage is Stage.TABLES and "have to end" in state.waiting_for
        assert (await shop.review(message(transaction_id="meanwhile"))).decision
        again = await shop.erase(MARK)  # nothing is left to erase, and it is still pending
        assert (again.decisions, again.progress.stage) == (0, privacy.ERASURE_STAGE_TABLES)
        pending = await shop.privacy.GetErasureProgress(privacy.GetErasureProgressRequest(), call_by("admin"))
        assert pending.progress.waiting_for == state.waiting_for
    done = await shop.erase(MARK)  # again: it finishes pending work
    await shop.work.finish(120)
    assert done.decisions == 0
    assert found_in(files(), removed_values(before, personal_values(shop))) == {}
    await shop.close()


async def test_it_goes_on_after_a_restart(ledger_url: str, files: Files) -> None:
    """An erasure left pending by a stopped agent, even in the middle of a copy, is finished by the next agent."""
    shop = Shop(ledger_url)
    await write_personal_data(shop)
    before = personal_values(shop)
    with reader(shop):
        assert (await shop.erase(MARK)).progress.stage == privacy.ERASURE_STAGE_TABLES
        with writing(shop.engine) as connection:  # a copy that was never completed
            rewriting = TableRewriter(connection, dialect_of(shop.engine), lambda one: None)
            rewriting.copy(METADATA.tables["payloads"])
    await shop.close()
    following = Shop(ledger_url)
    with writing(following.engine) as connection, connection.begin():  # the lease of the dead agent expired
        connection.execute(METADATA.tables["erasure_progress"].update().values(leased_until=1))
    for _ in range(20):
        await following.work.run_once()
    assert (await following.work.progress()).stage is Stage.DONE
    assert found_in(files(), removed_values(before, personal_values(following))) == {}
    await following.close()


async def test_one_of_two_agents_does_the_work(ledger_url: str, files: Files) -> None:
    """Of two agents on a ledger, one has the lease and the other waits; neither undoes the other's work."""
    shop, other = Shop(ledger_url), Shop(ledger_url)
    await write_personal_data(shop)
    before = personal_values(shop)
    await shop.erase(MARK)
    states = await asyncio.gather(*(one.work.finish(60) for one in (shop, other)))
    while any(one.stage is not Stage.DONE for one in states):
        states = await asyncio.gather(*(one.work.finish(60) for one in (shop, other)))
    assert found_in(files(), removed_values(before, personal_values(other))) == {}
    await shop.close()
    await other.close()
