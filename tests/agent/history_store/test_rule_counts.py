"""Counts of history that rules of a policy read."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.decider import Decider
from agent_server.decisions.policy import Policy
from agent_server.history_store.attempts import HistoryFeatures, PreviewHistory, RecordAttempt
from agent_server.ledger import Ledger
from agent_server.ledger.schema import ATTEMPTS
from agent_server.policies.current import CurrentPolicy
from agent_server.policies.document import read_policy
from agent_server.scoring.client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.counts import EVENTS, count_name, define_count, parse_window, split_name
from history.definitions import DAY, Definition, Kind
from runtime.rpc.call import Call
from testing.calls import new_call
from testing.waiting import free_port
from tests.agent.history_store.test_history import APPROVE, BEGUN, DENY, history_ledger, order, record_decision

_WINDOWS = (60, 3600, 6 * 3600, 30 * DAY)
_ALL = tuple(
    define_count(event, key, seconds) for event, keys in EVENTS.items() for key in keys for seconds in _WINDOWS
)


def _orders(chance: random.Random, count: int) -> Iterator[Transaction]:
    at = BEGUN + 31 * DAY
    for number in range(count):
        at += chance.choice((0, 1, 30, 1000, 90_000))
        fields: dict[str, Any] = {
            "device_id": f"d{chance.randrange(4)}", "ip_address": f"1.2.3.{chance.randrange(1, 4)}",
            "card_id": f"c{chance.randrange(9)}", "card_bin": f"41111{chance.randrange(2)}",
        }  # fmt: skip
        known = {name: value for name, value in fields.items() if chance.random() < 0.9}
        yield order(number, at, f"u{chance.randrange(5)}", **known)


def _count(count: Definition, now: Transaction, before: Sequence[tuple[Transaction, bool]]) -> int:
    """Return a count from all orders before, by its definition."""
    key, since = count.key.value, now.timestamp.seconds - (count.window or 0)
    window = [
        (one, denied)
        for one, denied in before
        if getattr(one, key) == getattr(now, key) and since <= one.timestamp.seconds <= now.timestamp.seconds
    ]
    if count.kind is Kind.ATTEMPTS:
        return len(window) + 1
    if count.kind is Kind.ORDERS:
        return sum(not denied for _, denied in window)
    return len({getattr(one, count.of) for one, _ in [*window, (now, False)]} - {""})


async def test_counts_are_those_of_all_orders_before(ledger_url: str) -> None:
    """Every declared count by every key over several windows equals a count over all orders, denied ones included."""
    chance, ledger, before = random.Random(5), history_ledger(ledger_url), list[tuple[Transaction, bool]]()
    for now in _orders(chance, 60):
        found = await ledger.write(PreviewHistory(now, counts=_ALL))
        known = {
            one.name: _count(one, now, before)
            for one in _ALL
            if getattr(now, one.key.value) and (not one.of or getattr(now, one.of))
        }
        assert found.counts == known
        assert not found.counts.keys() & found.values.keys()
        denied = chance.random() < 0.3
        await record_decision(ledger, now, await _record(ledger, now), DENY if denied else APPROVE)
        before.append((now, denied))
    ledger.close()


async def _record(ledger: Ledger, transaction: Transaction) -> HistoryFeatures:
    recorded = await ledger.write(RecordAttempt(transaction, counts=_ALL[:3]))
    assert isinstance(recorded, HistoryFeatures)
    return recorded


async def test_a_rule_on_a_count_decides(tmp_path: Path, ledger_url: str) -> None:
    """The example policy denies the 21st payment from an address in an hour, records why, and an hour later no more."""
    policy, _ = read_policy(Path("examples/card_testing.yaml"), Policy(0.7, 0.4))
    ledger = history_ledger(ledger_url)
    scoring = ScoringClient.connect(f"127.0.0.1:{free_port()}", 2.0)
    deciding = Decider(scoring, CurrentPolicy(policy), ledger, clock=Timestamp, use_history=True)
    call: Call = new_call()
    at = BEGUN + DAY
    decisions = []
    for number in range(22):
        one = order(number, at + number, f"u{number}", ip_address="9.8.7.6", device_id=f"d{number}", order_amount=1.0)
        decisions.append((await deciding.decide(one, call)).answer)
    assert [answer.decision for answer in decisions] == [pb.DECISION_REVIEW] * 20 + [pb.DECISION_DENY] * 2
    assert decisions[20].matched_rules[0].name == "card-testing-address"
    counted = {(one.event, one.key, one.window_seconds): one.count for one in decisions[20].history_counts}
    assert counted[("payment_attempt", "ip_address", 3600)] == 21
    later = order("later", at + 2 * 3600, "later", ip_address="9.8.7.6", device_id="later", order_amount=1.0)
    preview = await deciding.preview(later, call)
    assert preview.decision == pb.DECISION_REVIEW and not preview.matched_rules
    young = order("young", BEGUN + 60, "young", ip_address="9.8.7.6")
    assert not (await deciding.preview(young, call)).history_counts, "history does not cover the window"
    await scoring.close()
    ledger.close()


@pytest.mark.parametrize(("event", "key"), [(event, key) for event, keys in EVENTS.items() for key in keys])
def test_names_of_counts_are_read_back(event: str, key: str) -> None:
    """A count's name has all of it, and is not longer than the call that it replaces."""
    for window in ("1m", "1h", "30d"):
        name = count_name(event, key, parse_window(window))
        assert split_name(name) == (event, key, parse_window(window))
        assert len(name) <= len(f"history.count('{event}','{key}','{window}')")


def test_counts_are_in_the_indexes() -> None:
    """Every count reads only columns of the index of its key."""
    indexes = {next(iter(index.columns)).name: {column.name for column in index.columns} for index in ATTEMPTS.indexes}
    for count in _ALL:
        needed = (
            {"at", "number"}
            | ({count.of} if count.of else set())
            | ({"counts"} if count.kind is Kind.ORDERS else set())
        )
        assert needed <= indexes[count.key.value], count.name
