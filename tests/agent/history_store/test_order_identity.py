"""One order counts once, whichever of its contents arrive concurrently or are decided, in any order.

The expected counts come only from the orders sent, not from the ledger's numbers or the replay.
"""

import asyncio
import datetime as dt
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.database.engine import committing, writing
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.history_store.compaction import CompactionJob
from agent_server.history_store.importing import HistoryImport
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.chain import Unsigned
from agent_server.ledger.queries import latest_record
from agent_server.ledger.schema import ATTEMPTS, FOLDED, REPLACED_ATTEMPTS
from agent_server.ledger.transaction import LedgerTransaction
from agent_server.privacy import Erase
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, LONGEST
from testing.ledger.history import compare_with_replay
from testing.servers.processes import call
from tests.agent.history_store.test_history import (
    APPROVE,
    BEGUN,
    DENY,
    REVIEW,
    _Call,
    history_ledger,
    order,
    record_attempt,
    record_decision,
    review,
)

AT = BEGUN + 40 * DAY
DAYS = LONGEST // DAY + 1
NOW = BEGUN + 1000 * DAY


def contents(name: str, amounts: Sequence[float], user: str = "u") -> list[Transaction]:
    """Return one order with several amounts."""
    return [order(name, AT, user, order_amount=amount, device_id=f"d-{name}-{amount}") for amount in amounts]


async def process(ledger: Ledger, sent: Transaction, decision: Any = APPROVE) -> None:
    """Process an order as an agent does: record the attempt, and a decision unless there is one."""
    recalled = await ledger.write(RecordAttempt(sent))
    if isinstance(recalled, HistoryFeatures):
        await asyncio.sleep(0)
        await record_decision(ledger, sent, recalled, decision)


async def history_of_next(ledger: Ledger, name: str = "probe", user: str = "u") -> tuple[Any, ...]:
    """Return the history of the account's next order: orders, attempts before it, and their mean amount."""
    values = (await record_attempt(ledger, order(name, AT + 1, user))).values
    assert values["orders_last_24h"] == values["orders_last_7d"] == values["total_orders_lifetime"]
    return values["orders_last_24h"], int(values["payment_attempts_24h"]) - 1, values["avg_order_value"]


async def latest_amount(ledger: Ledger, name: str) -> float:
    """Return the amount of the latest decision on an order."""
    record = await ledger.read(latest_record(f"t{name}"))
    assert record is not None
    return record.transaction.order_amount


@pytest.mark.parametrize("count", [1, 2, 4, 8, 24])
async def test_contents_that_come_at_once_count_once(ledger_url: str, count: int) -> None:
    """After concurrent contents of one order on two agents, the account has one, with the last decided content."""
    ledgers = [history_ledger(ledger_url), Ledger(open_engine(ledger_url))]
    sent = contents("same", [20.0 + number for number in range(count)])
    await asyncio.gather(*(process(ledgers[place % 2], one) for place, one in enumerate(sent)))
    assert await history_of_next(ledgers[0]) == (1, 1, await latest_amount(ledgers[0], "same"))
    for ledger in ledgers:
        ledger.close()
    assert all(completed == known for completed, known in compare_with_replay(ledger_url))


async def test_contents_of_one_write_are_inserted_in_order(ledger_url: str) -> None:
    """Of three contents in one transaction, only the third counts for later orders."""
    engine = open_engine(ledger_url)
    history_ledger(ledger_url).close()
    recalls = [RecordAttempt(one) for one in (*contents("same", [10.0, 20.0, 30.0]), order("probe", AT + 1))]
    with writing(engine) as connection, committing(connection, on_disk=True):
        group = LedgerTransaction(connection, Unsigned())
        group.prefetch_revisions(one.transaction_id for one in recalls)
        assert all(one.enter(group) for one in recalls)
        *_, last = [one(group) for one in recalls]
        group.close()
    engine.dispose()
    assert isinstance(last, HistoryFeatures)
    assert (last.values["orders_last_24h"], last.values["avg_order_value"]) == (1, 30.0)


async def test_a_content_that_was_never_decided_is_replaced(ledger_url: str) -> None:
    """After the caller was killed, the order is submitted with other content, twice: it counts once."""
    ledger = history_ledger(ledger_url)
    first, second, third = contents("same", [10.0, 20.0, 30.0])
    await record_attempt(ledger, first)
    assert await history_of_next(ledger, "probe-1") == (1, 1, 10.0)
    await record_attempt(ledger, second)
    assert (await record_attempt(ledger, order("probe-1", AT + 1))).values["payment_attempts_24h"] == 2
    await review(ledger, third)
    assert (await record_attempt(ledger, order("probe-2", AT + 2))).values["payment_attempts_24h"] == 3
    ledger.close()
    assert all(completed == known for completed, known in compare_with_replay(ledger_url))


async def test_other_users_and_times_are_other_content_too(ledger_url: str) -> None:
    """The order is found by its id alone: another account or time in it leaves nothing behind at the first."""
    ledger = history_ledger(ledger_url)
    await record_attempt(ledger, order("same", AT, "u", order_amount=10.0))
    await record_attempt(ledger, order("same", AT - 5, "v", order_amount=10.0))
    assert await history_of_next(ledger, "probe-u", "u") == (0, 0, 0.0)
    assert await history_of_next(ledger, "probe-v", "v") == (1, 1, 10.0)
    ledger.close()


async def test_a_late_decision_gets_its_place_back(ledger_url: str) -> None:
    """Replaced content that is decided last is the content of the order, approved or denied."""
    for decision, wanted in ((APPROVE, (1, 1, 10.0)), (DENY, (0, 1, 0.0))):
        user = f"u{decision}"
        ledger = history_ledger(ledger_url)
        early, late = contents(f"same-{decision}", [10.0, 20.0], user)
        recalled = await record_attempt(ledger, early)
        await review(ledger, late)
        await record_decision(ledger, early, recalled, decision)
        assert await history_of_next(ledger, f"probe-{decision}", user) == wanted
        ledger.close()
    assert all(completed == known for completed, known in compare_with_replay(ledger_url))


async def test_a_verdict_on_older_content_applies_to_the_order(ledger_url: str) -> None:
    """If a reviewer denies the first content after the second was approved, the order counts as denied."""
    ledger, by = history_ledger(ledger_url), Reviewer("ada", 1_000)
    first, second = contents("same", [10.0, 20.0])
    await review(ledger, first, REVIEW)
    claimed = await ledger.write(Claim(by, 10**9))
    assert claimed is not None
    await review(ledger, second)
    assert await history_of_next(ledger, "probe-1") == (1, 1, 20.0)
    await ledger.write(Resolve(by, Verdict(claimed, DENY), _Call()))  # type: ignore[arg-type]
    values = (await record_attempt(ledger, order("probe-2", AT + 2))).values
    assert (values["orders_last_24h"], values["payment_attempts_24h"]) == (
        1,
        3,
    )  # only the probe before it is an order
    ledger.close()
    assert all(completed == known for completed, known in compare_with_replay(ledger_url))


@pytest.mark.parametrize("seed", range(4))
async def test_orders_are_counted_by_their_ids(ledger_url: str, tmp_path: Path, seed: int) -> None:
    """Thirty orders with up to five contents each, in bursts on two agents, some undecided, count as thirty orders.

    The export computes the same completed values, and compaction keeps the totals.
    """
    chance = random.Random(seed)
    ledgers = [history_ledger(ledger_url), Ledger(open_engine(ledger_url))]
    sent = [one for n in range(30) for one in contents(f"n{n}", [round(chance.uniform(1, 99), 2) for _ in range(5)])]
    sent = [one for one in sent if one.order_amount < 80 or one.transaction_id == "tn0"]
    sent += chance.sample(sent, 30)  # some again
    chance.shuffle(sent)

    async def one(transaction: Transaction, killed: bool) -> None:
        ledger = chance.choice(ledgers)
        if killed:
            await ledger.write(RecordAttempt(transaction))
        else:
            await process(ledger, transaction)

    while sent:
        burst = [sent.pop() for _ in range(min(len(sent), chance.choice((1, 3, 12))))]
        await asyncio.gather(*(one(transaction, chance.random() < 0.25) for transaction in burst))
    names = {f"tn{n}" for n in range(30)}
    orders, attempts, _ = await history_of_next(ledgers[0])
    there = await ledgers[0].read(
        lambda rows: rows.execute(sa.select(sa.func.count()).select_from(ATTEMPTS)).scalar_one()
    )
    assert (orders, attempts) == (len(names), len(names)), there
    for ledger in ledgers:
        ledger.close()
    compared = compare_with_replay(ledger_url)
    assert len(compared) > 20 and all(completed == known for completed, known in compared)
    if seed == 0:
        _check_export(ledger_url, tmp_path)
    await _check_compaction(ledger_url, orders + 1)


def _check_export(url: str, folder: Path) -> None:
    """Check that `vouch history export` and `compute` give the completed values of each decision."""
    export, output = folder / "export.parquet", folder / "filled.parquet"
    assert call("history", "export", "--ledger", url, "--output", str(export)).returncode == 0
    done = call("history", "compute", str(export), "--output", str(output))
    assert done.returncode == 0, done.stderr
    rows = [row for row in pq.read_table(output).to_pylist() if row["memory_kept"] is not None]
    names = ("orders_last_24h", "payment_attempts_24h", "avg_order_value", "new_device")
    found = [{name: row[name] for name in names} for row in rows if row["memory_read"] is not None]
    assert found == [{name: values[name] for name in names} for values, _ in compare_with_replay(url)]


async def _check_compaction(url: str, orders: int) -> None:
    """Check that compaction turns attempts into totals of as many orders, without replaced ones."""
    ledger = history_ledger(url)
    later = (order(f"later-{number}", AT + 400 * DAY, "later") for number in range(400))
    await asyncio.gather(
        *(record_attempt(ledger, one) for one in later)
    )  # most of the latest orders: the present is far ahead
    assert await CompactionJob(ledger, DAYS).run_once(NOW) > 0
    totals = await ledger.read(lambda rows: rows.execute(sa.select(sa.func.sum(FOLDED.c.orders))).scalar_one())
    left = await ledger.read(lambda rows: rows.execute(sa.select(REPLACED_ATTEMPTS)).all())
    assert (int(totals), list(left)) == (orders, [])
    ledger.close()


async def test_a_compacted_order_is_not_counted_again(ledger_url: str) -> None:
    """An id submitted again with other content after a hundred days still counts as one order."""
    ledger = history_ledger(ledger_url)
    for number in range(5):
        await review(ledger, order(number, BEGUN + DAY + number * 20 * DAY, device_id="d", order_amount=10.0))
    assert await CompactionJob(ledger, DAYS).run_once(NOW) == 1
    await review(ledger, order(0, BEGUN + DAY, device_id="d", order_amount=99.0))
    found = (await record_attempt(ledger, order("new", BEGUN + 90 * DAY, device_id="d"))).values
    assert (found["total_orders_lifetime"], found["avg_order_value"]) == (5, 10.0)
    ledger.close()


async def test_an_imported_order_is_not_counted_again(ledger_url: str) -> None:
    """An imported order submitted with other content counts once, as does the first attempt of an import."""
    ledger = history_ledger(ledger_url, AT + DAY)
    past = pa.table(
        {
            "transaction_id": ["tpast"], "user_id": ["u"], "order_amount": [5.0],
            "timestamp": pa.array([dt.datetime.fromtimestamp(AT - 9 * DAY, dt.UTC).replace(tzinfo=None)], pa.timestamp("s")),
        }
    )  # fmt: skip
    importing = HistoryImport(ledger._engine)
    importing.add(past)
    importing.finish()
    same = order("past", AT - 9 * DAY, order_amount=5.0)
    same.account_created_date.seconds = AT - 9 * DAY
    again = await record_attempt(ledger, same)
    assert again.position.number < 0
    await record_decision(ledger, same, again, DENY)
    await review(ledger, order("past", AT, order_amount=7.0))
    probe = order("probe", AT + 1)
    probe.account_created_date.seconds = AT - 9 * DAY
    found = (await record_attempt(ledger, probe)).values
    assert (found["total_orders_lifetime"], found["avg_order_value"]) == (1, 7.0)
    ledger.close()


async def test_erasing_a_person_erases_what_was_replaced(ledger_url: str) -> None:
    """Replaced, undecided content is erased too; orders that the person sends meanwhile do not bring it back."""
    ledger = history_ledger(ledger_url)
    first, second = contents("same", [10.0, 20.0])
    early = await record_attempt(ledger, first)
    await review(ledger, second)
    await record_attempt(ledger, order("other", AT, "stays", order_amount=1.0))
    await record_attempt(ledger, order("other", AT, "stays", order_amount=2.0))
    await ledger.write(Erase(user_id="u"))
    left = await ledger.read(lambda rows: rows.execute(sa.select(REPLACED_ATTEMPTS)).all())
    assert [row.amount for row in left] == [10_000]
    assert await history_of_next(ledger) == (0, 0, 0.0)
    await record_decision(ledger, first, early)  # it was in progress
    await ledger.write(Erase(user_id="u"))
    assert await history_of_next(ledger, "probe-2") == (0, 0, 0.0)
    ledger.close()
