"""History: the agent completes fields by the definitions, from the orders before, in any order of arrival."""

import asyncio
import random
from typing import Any

import protovalidate
import pytest
import sqlalchemy as sa

from agent_server.cases.claims import Claim, Reviewer
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.decisions.completion import combine
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext, RecordedDecision
from agent_server.ledger.schema import ATTEMPTS, MEMORY
from agent_server.privacy import Erase
from contract.fields import PSEUDONYMS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, MAX_DAYS, NAMES
from history.replay import Value
from testing.ledger.decisions import answer_for
from testing.ledger.history import compare_with_replay

BEGUN = 1_700_000_000
APPROVE, DENY, REVIEW = pb.DECISION_APPROVE, pb.DECISION_DENY, pb.DECISION_REVIEW


class _Call:
    """The part of a call that a verdict reads."""

    request_id = "verdict"


def order(number: int | str, at: int, user: str = "u", **fields: Any) -> Transaction:
    """Return an order without history fields."""
    made = Transaction(transaction_id=f"t{number}", user_id=user, **fields)
    made.timestamp.seconds = at
    if not made.HasField("account_created_date"):
        made.account_created_date.seconds = BEGUN + 1
    return made


def history_ledger(url: str, since: int = BEGUN) -> Ledger:
    """Return a ledger whose history began at a moment."""
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(MEMORY.update().values(since=since))
    return Ledger(engine)


async def record_attempt(ledger: Ledger, transaction: Transaction) -> HistoryFeatures:
    """Record an attempt and return its history features."""
    recalled = await ledger.write(RecordAttempt(transaction))
    assert isinstance(recalled, HistoryFeatures)
    return recalled


async def record_decision(
    ledger: Ledger, transaction: Transaction, recalled: HistoryFeatures, decision: pb.Decision = APPROVE
) -> RecordedDecision:
    """Record a decision on an order."""
    answer = answer_for(transaction.transaction_id, decision)
    answer.completed_fields.extend(combine(recalled.values, {}).values())
    context = DecisionContext("shop", "", "", recalled.position)
    opening = NewCase(f"{random.getrandbits(128):032x}", cases.CASE_REASON_UNCERTAIN)
    return await ledger.write(RecordDecision(transaction, answer, context, opening))


async def review(ledger: Ledger, transaction: Transaction, decision: pb.Decision = APPROVE) -> dict[str, Value]:
    """Record an attempt and a decision."""
    recalled = await record_attempt(ledger, transaction)
    await record_decision(ledger, transaction, recalled, decision)
    return recalled.values


async def test_an_order_is_completed_from_history(ledger_url: str) -> None:
    """Counts, mean, cards, devices and addresses are completed by the definitions, in the answer and in the record."""
    ledger = history_ledger(ledger_url)
    at = BEGUN + 40 * DAY
    fields: dict[str, Any] = {"device_id": "d", "ip_address": "1.2.3.4", "card_id": "c", "order_amount": 10.0}
    first = await review(ledger, order(1, at, **fields))
    assert first == dict(zip(NAMES[:10], (0, 0, 0, 0.0, 0, True, 1, 1, 1, 1), strict=True))
    await review(ledger, order(2, at + 60, **fields | {"order_amount": 20.0, "card_id": "c2"}))
    await review(ledger, order(3, at + 120, "other", **fields))
    third = await review(ledger, order(4, at + 2 * DAY, **fields))
    assert third == dict(zip(NAMES[:10], (0, 2, 2, 15.0, 2, False, 1, 2, 2, 1), strict=True))
    ledger.close()


async def test_completed_fields_break_no_rule(ledger_url: str) -> None:
    """For an account with orders of 1970 and 9999, no number of days exceeds the contract's maximum."""
    ledger = history_ledger(ledger_url, since=0)
    latest = 253_402_300_799
    orders = [order(number, at, order_amount=1e9, device_id="d") for number, at in enumerate((1, latest - 60, latest))]
    for one in orders:
        one.account_created_date.seconds = 1
        completed_order = Transaction()
        completed_order.CopyFrom(one)
        for name, value in (await review(ledger, one)).items():
            setattr(completed_order, name, value)
        assert not protovalidate.collect_violations(completed_order)
    assert completed_order.days_since_account_first_purchase == MAX_DAYS
    ledger.close()


async def test_fields_of_the_shop_are_unchanged(ledger_url: str) -> None:
    """Fields that the order has are unchanged; zero and false are values too."""
    ledger = history_ledger(ledger_url)
    await review(ledger, order(1, BEGUN + DAY))
    given = order(2, BEGUN + DAY + 1, orders_last_24h=0, new_device=False, payment_attempts_24h=7)
    values = await review(ledger, given)
    assert not {"orders_last_24h", "new_device", "payment_attempts_24h"} & set(values)
    assert values["total_orders_lifetime"] == 1
    ledger.close()


async def test_a_window_before_the_history_is_not_completed(ledger_url: str) -> None:
    """A window that begins before the history, and the lifetime counts of an older account, are not completed."""
    ledger = history_ledger(ledger_url)
    old = order(1, BEGUN + DAY - 1, device_id="d")
    old.account_created_date.seconds = BEGUN - 1
    assert (await record_attempt(ledger, old)).values == {}
    by_age = order(2, BEGUN + DAY)
    by_age.ClearField("account_created_date")
    by_age.account_age_days = 1
    assert set((await record_attempt(ledger, by_age)).values) == {
        "orders_last_24h", "total_orders_lifetime", "avg_order_value", "days_since_account_first_purchase",
        "payment_attempts_24h",
    }  # fmt: skip
    ledger.close()


async def test_a_repeat_counts_once_and_a_revision_replaces(ledger_url: str) -> None:
    """The same order again gets its answer; before the decision it is the same attempt; other content replaces it."""
    ledger, at = history_ledger(ledger_url), BEGUN + 8 * DAY
    first = order(1, at, order_amount=10.0)
    recalled = await record_attempt(ledger, first)
    again = await record_attempt(ledger, first)
    assert again.position.number == recalled.position.number and again.values == recalled.values
    recorded = await record_decision(ledger, first, recalled)
    repeated = await ledger.write(RecordAttempt(first))
    assert isinstance(repeated, RecordedDecision) and repeated.replayed and repeated.answer == recorded.answer
    assert (await review(ledger, order(2, at + 1)))["payment_attempts_24h"] == 2
    changed = order(1, at, order_amount=99.0)
    assert (await review(ledger, changed))["payment_attempts_24h"] == 1
    found = (await record_attempt(ledger, order(3, at + 2))).values
    assert (found["payment_attempts_24h"], found["avg_order_value"]) == (3, 99.0)
    ledger.close()


async def test_a_denial_takes_an_order_out(ledger_url: str) -> None:
    """A denied order does not count: by the policy at once, by a verdict later; approved by a person it counts."""
    ledger, at = history_ledger(ledger_url), BEGUN + 8 * DAY
    await review(ledger, order(1, at), DENY)
    assert (await record_attempt(ledger, order(2, at + 1))).values["orders_last_24h"] == 0
    held = order(3, at + 2, "v")
    await review(ledger, held, REVIEW)
    assert (await record_attempt(ledger, order(4, at + 3, "v"))).values["orders_last_24h"] == 1
    by = Reviewer("ada", 1_000)
    claimed = await ledger.write(Claim(by, 10**9))
    assert claimed is not None
    await ledger.write(Resolve(by, Verdict(claimed, DENY), _Call()))  # type: ignore[arg-type]
    found = (await record_attempt(ledger, order(5, at + 4, "v"))).values
    assert (found["orders_last_24h"], found["payment_attempts_24h"]) == (1, 3)  # only t4 is left
    ledger.close()


async def test_concurrent_orders_get_different_counts(ledger_url: str) -> None:
    """Of many concurrent orders of one device on two agents, each gets another number of accounts."""
    ledgers = [history_ledger(ledger_url), Ledger(open_engine(ledger_url))]
    at = BEGUN + 40 * DAY
    orders = [order(number, at, f"u{number}", device_id="shared") for number in range(40)]
    found = await asyncio.gather(*(record_attempt(ledgers[at % 2], one) for at, one in enumerate(orders)))
    assert sorted(one.values["accounts_on_device_30d"] for one in found) == list(range(1, 41))
    for ledger in ledgers:
        ledger.close()


async def test_forgetting_a_person_forgets_their_past(ledger_url: str) -> None:
    """Erased attempts are not counted; attempt numbers are never reused."""
    engine = open_engine(ledger_url)
    ledger, at = history_ledger(ledger_url), BEGUN + 40 * DAY
    await review(ledger, order(1, at, "gone", device_id="d", card_id="c", order_amount=5.0))
    await record_attempt(ledger, order(2, at, "gone", device_id="d"))
    await ledger.write(Erase(user_id="gone"))
    found = (await record_attempt(ledger, order(3, at + 1, "stays", device_id="d"))).values
    assert found["accounts_on_device_30d"] == 1
    with engine.connect() as connection:
        rows = connection.execute(sa.select(ATTEMPTS).order_by(ATTEMPTS.c.number)).all()
    engine.dispose()
    assert [row.number for row in rows] == [1, 2, 3]
    assert not any(
        (row.user_id, row.device_id, row.card_id, row.amount, row.transaction_id) != (None,) * 5 for row in rows[:2]
    )
    ledger.close()


async def _stream(ledgers: list[Ledger], chance: random.Random, count: int) -> None:
    """Submit orders that are late, simultaneous, repeated, revised, denied, with hot keys and without, by several
    agents.
    """
    sent: list[Transaction] = []
    clock = BEGUN + 31 * DAY

    async def one(number: int) -> None:
        nonlocal clock
        clock += chance.choice((0, 0, 1, 600, 40_000))
        at = clock - chance.choice((0, 0, 0, 5, 90_000))
        fields: dict[str, Any] = {}
        if chance.random() < 0.8:
            fields |= {
                "device_id": f"d{int(chance.paretovariate(1)) % 6}",
                "ip_address": f"1.2.{chance.randrange(3)}.{chance.choice(['9', '9', 'xxx'])}",
            }
        if chance.random() < 0.6:
            fields |= {"card_id": f"c{chance.randrange(5)}"}
        if chance.random() < 0.8:
            fields |= {name: f"p{chance.randrange(4)}" for name in PSEUDONYMS}
        if chance.random() < 0.9:
            fields |= {"order_amount": chance.uniform(1, 500)}
        made = order(number, at, f"u{int(chance.paretovariate(0.8)) % 9}", **fields)
        if sent and chance.random() < 0.15:
            made = Transaction()
            made.CopyFrom(chance.choice(sent))
            if chance.random() < 0.5:
                made.order_amount = chance.uniform(1, 500)
        sent.append(made)
        ledger = chance.choice(ledgers)
        recalled = await ledger.write(RecordAttempt(made))
        if isinstance(recalled, HistoryFeatures) and chance.random() < 0.95:  # else the caller was killed
            await record_decision(ledger, made, recalled, chance.choice((APPROVE, APPROVE, DENY, REVIEW)))
        if chance.random() < 0.2:
            by = Reviewer(chance.choice(("ada", "bob")), 1_000)
            claimed = await ledger.write(Claim(by, 10**9))
            if claimed is not None:
                verdict = Verdict(claimed, chance.choice((APPROVE, DENY)))
                await ledger.write(Resolve(by, verdict, _Call()))  # type: ignore[arg-type]

    numbers = iter(range(count))
    for size in iter(lambda: chance.choice((1, 1, 4)), None):
        group = [number for _, number in zip(range(size), numbers, strict=False)]
        if not group:
            return
        await asyncio.gather(*(one(number) for number in group))


async def test_an_order_counts_once_whatever_was_decided_last(ledger_url: str) -> None:
    """A verdict on replaced content adds no order: a third content counts neither of the two before."""
    ledger, at, by = history_ledger(ledger_url), BEGUN + 40 * DAY, Reviewer("ada", 1_000)
    contents = [order("same", at, order_amount=amount) for amount in (10.0, 20.0, 30.0)]
    await record_decision(ledger, contents[0], await record_attempt(ledger, contents[0]), REVIEW)
    claimed = await ledger.write(Claim(by, 10**9))
    assert claimed is not None
    await review(ledger, contents[1])
    await ledger.write(Resolve(by, Verdict(claimed, APPROVE), _Call()))  # type: ignore[arg-type]
    last = await review(ledger, contents[2])
    assert (last["orders_last_24h"], last["payment_attempts_24h"]) == (0, 1)
    assert (await review(ledger, order("other", at)))["orders_last_24h"] == 1
    ledger.close()
    assert all(completed == known for completed, known in compare_with_replay(ledger_url))


async def test_contents_that_overlap_count_once(ledger_url: str) -> None:
    """A third content of an order replaces two concurrent ones, in history and in the replay."""
    ledger, at = history_ledger(ledger_url), BEGUN + 40 * DAY
    first, second, third = (order("same", at, order_amount=amount) for amount in (10.0, 20.0, 30.0))
    early = await record_attempt(ledger, first)
    await review(ledger, second)
    await record_decision(ledger, first, early)
    assert (await review(ledger, third))["payment_attempts_24h"] == 1
    ledger.close()
    assert all(completed == known for completed, known in compare_with_replay(ledger_url))


@pytest.mark.parametrize("seed", range(4))
async def test_online_equals_a_replay_of_the_ledger(ledger_url: str, seed: int) -> None:
    """With two agents and any stream, every completed value equals a replay of the ledger, to the bit."""
    ledgers = [history_ledger(ledger_url), Ledger(open_engine(ledger_url))]
    await _stream(ledgers, random.Random(seed), 120)
    for ledger in ledgers:
        ledger.close()
    compared = compare_with_replay(ledger_url)
    assert len(compared) > 80 and any(len(completed) == len(NAMES) for completed, _ in compared)
    for place, (completed, known) in enumerate(compared):
        assert completed == known, place
