"""The compiled reader of orders gives what the model of orders gives, and reads usual orders by itself."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.fields import FIELDS
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.errors import detail_of
from http_bridge.json import order_reader
from http_bridge.json.mapping import to_transaction
from http_bridge.json.order_reader import read_order
from http_bridge.json.transaction import parse
from testing.inputs.hostile import ORDER, VALUES, bodies, extras

WRITTEN = (
    *("-0", "0", "-0.0", "1e400", "1e-400", "123456789012345678901234567890", "1e2", "5E0", "01", "+1", ".5", "5."),
    *("NaN", "Infinity", "null", "true", '"5"', '"\\ud800"', '"\\u0035"', "[" * 2000 + "]" * 2000, "1" * 5000),
)
"""Values of a number as JSON."""
BODIES = (
    b"", b" ", b"null", b"[]", b"5", b'"x"', b"{", b"{}", b"\xff", b"\xef\xbb\xbf{}", b'{"a":1}', b'{"extra":null}', b"{}{}",
    b'{"transaction_id":"a","transaction_id" : "b"}',
)  # fmt: skip
CHARACTERS = st.text(st.characters(codec="utf-8"), max_size=8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | CHARACTERS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(CHARACTERS, inner, max_size=2),
    max_leaves=3,
)


def outcome(read: Any, body: bytes) -> Any:
    """Return the message's bytes that a reader makes of a body, or the errors that a caller would get."""
    try:
        return read(body).SerializeToString(deterministic=True)
    except ValidationError as error:
        return detail_of(error)


def by_reader(body: bytes) -> Transaction:
    """Read a body by the compiled reader."""
    order = Transaction()
    read_order(body, order)
    return order


def check(body: bytes) -> None:
    """Compare both readers."""
    assert outcome(by_reader, body) == outcome(lambda given: to_transaction(parse(given)), body), body[:300]


def spell(name: str, written: str) -> bytes:
    """Return the body of an order whose field has a value that is JSON already."""
    return json.dumps(ORDER | {name: 0}).replace(f'"{name}": 0', f'"{name}": {written}').encode()


def test_hostile_bodies_are_read_alike() -> None:
    """Every hostile value of every field, extras, spellings of numbers, repeated keys and broken JSON."""
    for _, values in bodies():
        check(json.dumps(values).encode())
    for extra in extras():
        check(json.dumps(ORDER | {"extra": extra}).encode())
    odd: tuple[Any, ...] = (0, 1, "", [], False, {}, {"a": {}}, {"a": None})
    for given_extra in odd:
        check(json.dumps(ORDER | {"extra": given_extra}).encode())
    for body in BODIES:
        check(body)
    for name in ("order_amount", "avg_order_value", "account_age_days", "email_verified", "currency"):
        for written in WRITTEN:
            check(spell(name, written))
            check(spell("extra", f'{{"{name}": {written}}}'))
    for name in ORDER:
        check(json.dumps({key: value for key, value in ORDER.items() if key != name}).encode())
        check(json.dumps(ORDER)[:-1].encode() + spell(name, json.dumps(ORDER[name])).replace(b"{", b", ", 1))
        check(json.dumps(ORDER)[:-1].encode() + f', "{name}" : null}}'.encode())
    check(spell("extra", '{"a": 1, "a": 2}'))
    check(spell("extra", '{"a": 1, "b": "\\": "}'))


NAMES = st.sampled_from([*FIELDS, "extra", "other"])
HOSTILE = st.sampled_from(sum(VALUES.values(), ()))


@given(st.dictionaries(NAMES, ANYTHING | HOSTILE, max_size=4), st.booleans())
def test_any_values_are_read_alike(values: dict[str, Any], is_ascii: bool) -> None:
    """Any values of any fields give the same message, or the same errors."""
    check(json.dumps(ORDER | values, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass"))


def test_usual_orders_do_not_need_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented order, with fields as null, with extras, and with times of every form is read by the reader."""
    monkeypatch.delattr(order_reader, "parse")
    for values in (
        {}, {"device_id": None}, {"extra": {"V1": 1.5, "shop": "north", "none": None}}, {"order_amount": 5},
        {"timestamp": "2016-12-31 23:59:60.5+01:00"},
    ):  # fmt: skip
        assert by_reader(json.dumps(ORDER | values).encode()).transaction_id == ORDER["transaction_id"]
    with pytest.raises(NameError):
        by_reader(json.dumps(ORDER | {"order_amount": "5"}).encode())
