"""Compaction: attempts outside all windows become totals, and no count changes."""

import asyncio
import random
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from agent_server.history_store.compaction import CompactionJob
from agent_server.history_store.importing import HistoryImport, known_since
from agent_server.ledger import open_engine
from agent_server.ledger.schema import ATTEMPTS, FOLDED, FOLDED_DEVICES
from agent_server.privacy import Erase
from history.definitions import DAY, LONGEST
from testing.ledger.templates import new_ledger
from tests.agent.history_store.test_history import APPROVE, BEGUN, DENY, history_ledger, order, record_attempt, review

DAYS = LONGEST // DAY + 1
NOW = BEGUN + 1000 * DAY


def rows_of(url: str, table: sa.Table) -> int:
    """Return the number of rows of a table."""
    engine = open_engine(url)
    with engine.connect() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    engine.dispose()
    return int(count)


async def test_compaction_changes_no_count(ledger_url: str, tmp_path: Path) -> None:
    """Of two histories of a stream over 200 days, one compacted ten times, all values are equal, and one has fewer
    rows.
    """
    folded, whole = history_ledger(ledger_url), history_ledger(new_ledger(tmp_path / "whole.db"))
    chance, compared = random.Random(1), 0
    for number in range(300):
        at = BEGUN + DAY + number * 2 * DAY // 3 - chance.choice((0, 0, 5, DAY))
        fields = {
            "device_id": f"d{chance.randrange(5)}",
            "ip_address": "1.2.3.4",
            "card_id": f"c{chance.randrange(4)}",
        }
        if chance.random() < 0.9:
            fields["order_amount"] = chance.uniform(1, 500)  # type: ignore[assignment]
        made = order(number, at, f"u{int(chance.paretovariate(0.8)) % 9}", **fields)
        decision = chance.choice((APPROVE, APPROVE, DENY))
        values, same = await asyncio.gather(*(review(memory, made, decision) for memory in (folded, whole)))
        assert values == same, number
        compared += len(values)
        if number % 30 == 29:
            await CompactionJob(folded, DAYS).run_once(NOW)
    folded.close()
    whole.close()
    assert compared > 2000
    assert rows_of(ledger_url, ATTEMPTS) < 150
    assert rows_of(ledger_url, FOLDED) == 9


async def test_an_order_from_before_the_compaction_gets_no_counts(ledger_url: str) -> None:
    """Orders later than the compaction get all counts; an older order gets none."""
    ledger = history_ledger(ledger_url)
    for number in range(5):
        await review(ledger, order(number, BEGUN + DAY + number * 20 * DAY, device_id="d", order_amount=10.0))
    assert await CompactionJob(ledger, DAYS).run_once(NOW) == 1
    late = (await record_attempt(ledger, order("late", BEGUN + 2 * DAY, device_id="d"))).values
    assert late == {}
    found = (await record_attempt(ledger, order("new", BEGUN + 90 * DAY, device_id="d"))).values
    assert (found["total_orders_lifetime"], found["avg_order_value"], found["new_device"]) == (
        6,
        10.0,
        False,
    )  # the late one too
    assert found["days_since_account_first_purchase"] == 89
    ledger.close()


async def test_a_fast_clock_compacts_nothing(ledger_url: str) -> None:
    """Orders from the future compact nothing, and none moves the boundary past the present."""
    ledger = history_ledger(ledger_url)
    for number in range(5):
        await review(ledger, order(number, BEGUN + DAY))
    for number in range(4):
        await review(ledger, order(f"future-{number}", BEGUN + 3650 * DAY))
    assert await CompactionJob(ledger, DAYS).run_once(NOW) == 0
    for number in range(4, 20):
        await review(ledger, order(f"future-{number}", BEGUN + 3650 * DAY))
    assert await CompactionJob(ledger, DAYS).run_once(BEGUN + 2 * DAY) == 0
    ledger.close()


async def test_an_erased_person_is_in_no_total(ledger_url: str) -> None:
    """Erasing a person removes their part of the totals; those of others stay."""
    ledger = history_ledger(ledger_url)
    for number in range(30):
        await review(
            ledger, order(number, BEGUN + DAY + number * 5 * DAY, f"u{number % 2}", device_id=f"d{number % 2}")
        )
    assert await CompactionJob(ledger, DAYS).run_once(NOW) > 4
    await ledger.write(Erase(user_id="u1"))
    ledger.close()
    assert (rows_of(ledger_url, FOLDED), rows_of(ledger_url, FOLDED_DEVICES)) == (1, 1)


async def test_nothing_is_compacted_during_an_import(ledger_url: str) -> None:
    """Nothing is compacted during an import; afterwards, importing the same file again changes nothing."""
    past = pa.table(
        {
            "transaction_id": [f"p{number}" for number in range(40)],
            "timestamp": pa.array([BEGUN + number * 5 * DAY for number in range(40)]).cast(pa.timestamp("s")),
            "user_id": ["u"] * 40, "order_amount": [5.0] * 40,
        }
    )  # fmt: skip
    engine = open_engine(ledger_url)
    ledger = history_ledger(ledger_url, BEGUN + 300 * DAY)
    importing = HistoryImport(engine)
    importing.add(past)
    assert await CompactionJob(ledger, DAYS).run_once() == 0
    importing.finish()
    assert await CompactionJob(ledger, DAYS).run_once() > 10
    again = HistoryImport(engine)
    again.add(past)
    again.finish()
    assert again.new == 0 and again.too_old > 10
    assert known_since(engine).timestamp() == BEGUN
    found = (await record_attempt(ledger, order("next", BEGUN + 200 * DAY))).values
    assert (found["total_orders_lifetime"], found["avg_order_value"]) == (40, 5.0)
    engine.dispose()
    ledger.close()
