"""The definitions: a replay by hand, columns equal to the replay, and agreement with the contract."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.fields import FIELDS
from generated.vouch.v1.transaction_pb2 import Transaction
from history.columns import Columns, codes
from history.counts import EVENTS
from history.definitions import (
    DAY,
    DEFINITIONS,
    HOUR,
    LATEST,
    MAX_DAYS,
    NAMES,
    NEEDED,
    Key,
    amount_units,
    is_known,
    markdown_table,
)
from history.replay import Attempt, Replay
from runtime.validation.field_rules import rules_of
from testing.servers.processes import ROOT

NOON = 1_700_000_000


def attempt(number: int, at: int, user: str = "u", amount: float | None = 10.0, **texts: str) -> Attempt:
    """Return an attempt of a user."""
    keys = {"user_id": user, "device_id": None, "ip_address": None, "card_id": None} | texts
    return Attempt(number, at, keys, amount_units(amount))


def last(*attempts: Attempt) -> dict[str, Any]:
    """Return the values of the last of some attempts."""
    replay = Replay()
    for one in attempts:
        replay.add(one)
    return replay.values(attempts[-1].number)


def test_each_field_is_one_of_the_contract() -> None:
    """Names, keys and other fields exist, none is declared twice, and the fields fit the computed values."""
    assert len(set(NAMES)) == len(NAMES)
    for definition in DEFINITIONS:
        kind = "flag" if definition.name == "new_device" else "number" if "avg" in definition.name else "count"
        assert FIELDS[definition.name].kind == kind
        assert definition.key.value in FIELDS and (not definition.of or definition.of in FIELDS)


def test_days_since_a_first_order_are_limited_by_the_contract() -> None:
    """Replay and columns stop at the largest number of days that the contract accepts."""
    field: Any = Transaction.DESCRIPTOR.fields_by_name["days_since_account_first_purchase"]
    rule = rules_of(field)
    assert rule.bounds["lte"] == MAX_DAYS
    old, late = attempt(1, NOON), attempt(2, NOON + (MAX_DAYS + 7) * DAY)
    assert last(old, late)["days_since_account_first_purchase"] == MAX_DAYS
    columns = Columns(np.array([old.at, late.at]), {"user_id": codes(pa.array(["u", "u"]))}, np.array([10.0, 10.0]))
    values, _ = columns.values()["days_since_account_first_purchase"]
    assert values.tolist() == [0, MAX_DAYS]


def test_the_docs_list_the_definitions() -> None:
    """The table of docs/explanation/history.md is generated from the definitions."""
    assert markdown_table() in (ROOT / "docs" / "explanation" / "history.md").read_text()


def test_the_contract_says_what_the_definitions_say() -> None:
    """The comments in the proto name the same windows, and whether the order itself counts."""
    proto = (ROOT / "protos" / "vouch" / "v1" / "transaction.proto").read_text()
    for definition in DEFINITIONS:
        comment = re.findall(rf"((?:  //.*\n)+)  optional \w+ {definition.name} =", proto)[0]
        if definition.window:
            hours = definition.window // HOUR
            assert f"{hours} hours" in comment or f"{hours // 24} days" in comment, comment
        assert ("this one included" in comment) == definition.itself, comment
        if "without this one" in definition.sentence:
            assert "without this one" in comment


def test_windows_by_hand() -> None:
    """An attempt a second older than the window is out, one exactly as old is in; the order itself is not counted."""
    old, edge, new = attempt(1, NOON - DAY - 1), attempt(2, NOON - DAY), attempt(3, NOON - 1)
    found = last(old, edge, new, attempt(4, NOON))
    assert (found["orders_last_24h"], found["orders_last_7d"], found["total_orders_lifetime"]) == (2, 3, 3)
    assert found["payment_attempts_24h"] == 3
    assert found["days_since_account_first_purchase"] == 1 and found["avg_order_value"] == 10.0
    first = last(attempt(1, NOON))
    assert first == {
        "orders_last_24h": 0, "orders_last_7d": 0, "total_orders_lifetime": 0, "avg_order_value": 0.0,
        "days_since_account_first_purchase": 0, "payment_attempts_24h": 1,
    }  # fmt: skip


def test_order_and_time() -> None:
    """Orders of one second see those before them, not those after; a late one sees only those older by its own time."""
    assert last(attempt(1, NOON), attempt(2, NOON))["orders_last_24h"] == 1
    late = last(attempt(1, NOON), attempt(2, NOON - 5), attempt(3, NOON - 5))
    assert late["orders_last_24h"] == 1
    assert last(attempt(1, NOON + 10**6), attempt(2, NOON))["total_orders_lifetime"] == 0


def test_denied_and_replaced() -> None:
    """A denied attempt counts as an attempt and not as an order, from then on; a replaced one as neither."""
    replay = Replay()
    replay.add(attempt(1, NOON, amount=100.0))
    replay.add(attempt(2, NOON + 1, amount=20.0))
    assert replay.values(2)["orders_last_24h"] == 1
    replay.decide(1, counts=False)
    replay.add(attempt(3, NOON + 2))
    found = replay.values(3)
    assert (found["orders_last_24h"], found["payment_attempts_24h"], found["avg_order_value"]) == (1, 3, 20.0)
    replay.decide(1, counts=True)
    assert replay.values(3)["avg_order_value"] == 60.0
    replay.remove(1)
    replay.add(attempt(4, NOON + 3))
    assert replay.values(4)["payment_attempts_24h"] == 3


def test_devices_addresses_and_cards() -> None:
    """Different accounts and cards are counted once each; a device is new to an account until seen there."""
    texts: Any = {"device_id": "d", "ip_address": "1.2.3.4"}
    seen = [attempt(at, NOON + at, f"u{at % 3}", card_id=f"c{at % 2}", **texts) for at in range(1, 8)]
    found = last(*seen)
    assert (found["accounts_on_device_30d"], found["accounts_on_ip_24h"]) == (3, 3)
    assert (found["cards_used_30d"], found["new_device"]) == (2, False)
    assert last(*seen, attempt(9, NOON + 9, "u1", device_id="other"))["new_device"] is True
    assert "new_device" not in last(attempt(1, NOON)) and "cards_used_30d" not in last(attempt(1, NOON))


def test_a_hot_key_saturates() -> None:
    """Of a key the latest thousand attempts are read."""
    replay = Replay()
    for number in range(1, 1502):
        replay.add(attempt(number, NOON + number))
    found = replay.values(1501)
    assert (found["payment_attempts_24h"], found["orders_last_24h"]) == (LATEST, LATEST - 1)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=NAMES)
def test_values_before_the_history_are_unknown(definition: Any) -> None:
    """A window that begins before the history, an older account and a missing key are unknown."""
    texts = dict.fromkeys(NEEDED, "x")
    reach = definition.window or 0
    assert is_known(definition, NOON + reach, NOON, NOON, texts)
    if definition.window:
        assert not is_known(definition, NOON + reach - 1, NOON, NOON, texts)
    else:
        assert not is_known(definition, NOON, NOON, NOON - 1, texts)
        assert not is_known(definition, NOON, NOON, None, texts)
    for needed in {definition.key.value, definition.of} - {""}:
        assert not is_known(definition, NOON + reach, NOON, NOON, texts | {needed: None})


names = st.sampled_from(["a", "b", "c", ""])


@settings(max_examples=200)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0, 0, 1, 3600, 40_000, DAY, 3 * DAY, 20 * DAY]), names, names, names, names,
            st.one_of(st.none(), st.floats(0.01, 1e9)), st.booleans(),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_columns_equal_the_replay(rows: list[Any]) -> None:
    """Every value of every row is equal to the bit, with hot, absent and single keys, equal times, and denied rows."""
    at, number, replay, wanted = NOON, 0, Replay(), list[dict[str, Any]]()
    times: list[int] = []
    for gap, user, device, address, card, amount, counts in rows:
        at, number = at + gap, number + 1
        texts = {"user_id": user, "device_id": device, "ip_address": address, "card_id": card}
        replay.add(
            Attempt(number, at, {name: text or None for name, text in texts.items()}, amount_units(amount), counts)
        )
        wanted.append(replay.values(number))
        times.append(at)
    found = computed(times, rows)
    for place, values in enumerate(wanted):
        found_values = {name: column[place].item() for name, (column, there) in found.items() if there[place]}
        assert found_values == values, place


def test_columns_saturate_as_the_replay_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small limit in place of a thousand, both read the same latest attempts."""
    import history.columns
    import history.replay

    for module in (history.columns, history.replay):
        monkeypatch.setattr(module, "LATEST", 4)
    chance = np.random.default_rng(3)
    rows: list[Any] = [
        (
            0,
            *(str(name) for name in chance.choice(["a", "b"], 4)),
            float(chance.uniform(1, 9)),
            bool(chance.random() < 0.7),
        )
        for _ in range(200)
    ]
    times = np.cumsum(chance.integers(0, 9000, 200)).tolist()
    replay, found = Replay(), computed(times, rows)
    for place, (_, user, device, address, card, amount, counts) in enumerate(rows):
        texts = {"user_id": user, "device_id": device, "ip_address": address, "card_id": card}
        replay.add(Attempt(place, times[place], texts, amount_units(amount), counts))
        found_values = {name: column[place].item() for name, (column, there) in found.items() if there[place]}
        assert found_values == replay.values(place), place


def computed(times: list[int], rows: list[Any]) -> dict[str, Any]:
    """Return the values of the columns."""
    texts = {
        name: codes(pa.array([row[place] for row in rows], pa.string()))
        for place, name in enumerate(("user_id", "device_id", "ip_address", "card_id"), 1)
    }
    amounts = np.array([np.nan if row[5] is None else row[5] for row in rows], np.float64)
    return Columns(np.array(times, np.int64), texts, amounts, np.array([row[6] for row in rows], np.bool_)).values()


def test_the_keys_are_fields() -> None:
    """Each key has a definition, or is counted for rules."""
    counted = {Key(name) for keys in EVENTS.values() for name in keys}
    assert {definition.key for definition in DEFINITIONS} | counted == set(Key)
