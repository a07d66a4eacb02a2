"""Hostile and accidental inputs: one table for all transports, and for every new one."""

import json
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from contract.extras import TEXTS as TEXTS_MAP
from contract.fields import EXTRAS, FIELDS
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.inputs.orders import DOCUMENTED

ORDER: Final[dict[str, Any]] = DOCUMENTED | {"timestamp": "2025-02-11T10:00:00Z"}

TEXTS: Final = (
    "",
    " ",
    "\0",
    "a\0b",
    "\r\nx-injected: 1",
    "\t",
    "\x1b]52;c;aGk=\x07\x1b[2J",
    "\u202egnp.exe",
    "\ufeff",
    "\u2028",
    "é" * 128,
    "x" * 128,
    "x" * 129,
    "x" * 1025,
    "\U0001f600" * 64,
    "<script>alert(1)</script>",
    "';DROP TABLE decisions;--",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "%s%n%x",
    "../../etc/passwd",
    "2024/0001",
    "null",
    "NaN",
    "4242424242424242",
)
COUNTS: Final = (-(2**31) - 1, -(2**31), -1, 0, 1, 36_500, 36_501, 2**31 - 1, 2**31, 2**53 + 1, 2**63, 2**64, 10**30)
NUMBERS: Final = (-1.0, -0.0, 0.0, 5e-324, 1e-300, 1e9, 1.0000001e9, 1e300, 1.7976931348623157e308)
TIMES: Final = (
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00+00:01",
    "2016-12-31T23:59:60Z",
    "2025-02-30T00:00:00Z",
    "2025-02-11T24:00:00Z",
    "2025-02-11T10:00:00.123456789Z",
    "2025-02-11T10:00:00.1234567891Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59+23:59",
    "2025-02-11T10:00:00+24:00",
    "10000-01-01T00:00:00Z",
    "253402300800",
    "",
)
WRONG_KINDS: Final[tuple[Any, ...]] = ([], {}, [5], {"seconds": 5, "x": 1}, 1.5, "five", "0x10", " 5", "5 ", "1_000")
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "text": (*TEXTS, 7, True),
    "count": (*COUNTS, *WRONG_KINDS, True, "5", "+5", 5.0, "2147483648"),
    "number": (*NUMBERS, *COUNTS, *WRONG_KINDS[:4], True, "299.99", "1e3", "1e400", "NaN", "Infinity"),
    "flag": (0, 1, "yes please", [], {}),
    "time": (*TIMES, 0, 1.5, True, []),
    "enum": ("", "fridge", "UNSPECIFIED", -1, 99, 2**31, [], {}),
}
"""Values by kind of field, for a JSON body: boundaries of every type, and values of other types."""


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of an order with every hostile value of its kind; the other fields are valid."""
    for name, field in FIELDS.items():
        for value in VALUES[field.kind]:
            yield name, ORDER | {name: value}


EXTRA_NAMES: Final = (
    *("", " ", "a b", "a\0b", "a\r\nb", "1a", "a[b]", "a]", "é", "x" * 64, "x" * 65, "x" * 5000, "{x}", "%s"),
    *("__proto__", "a.b", "order_amount", "is_abuse", "extra", "timestamp", "V1"),
)
EXTRA_VALUES: Final[tuple[Any, ...]] = (
    *(*TEXTS, *NUMBERS, *COUNTS, *WRONG_KINDS, True, "é" * 256, "x" * 257),
    *(10**400, float("nan"), float("inf"), "1" * 400),
)


REFUSED: Final = "refused"
EXTRA_TYPES: Final[tuple[tuple[float | str, Any, Any], ...]] = (
    (3, 3.0, "3"),
    (3.0, 3.0, "3"),
    (-0.0, 0.0, "0"),
    (-7, -7.0, "-7"),
    (2.5, 2.5, "2.5"),
    (1e15, 1e15, "1000000000000000"),
    (2**53, 2.0**53, "9007199254740992"),
    (2**53 + 2, 2.0**53 + 2, REFUSED),
    (1e300, 1e300, REFUSED),
    (5e-324, 5e-324, "5e-324"),
    ("3", 3.0, "3"),
    (" 3\t", 3.0, "3"),
    ("+3", 3.0, "+3"),
    ("03", 3.0, "03"),
    ("3.0", 3.0, "3.0"),
    ("2.5", 2.5, "2.5"),
    ("-1e3", -1000.0, "-1e3"),
    (".5", 0.5, ".5"),
    ("5.", 5.0, "5."),
    ("9" * 256, 1e256, "9" * 256),
    ("", None, None),
    ("  ", None, None),
    ("north", REFUSED, "north"),
    ("1_000", REFUSED, "1_000"),
    ("1,5", REFUSED, "1,5"),
    ("1 000", REFUSED, "1 000"),
    ("0x10", REFUSED, "0x10"),
    ("nan", REFUSED, "nan"),
    ("Infinity", REFUSED, "Infinity"),
    ("1e999", REFUSED, "1e999"),
    ("\u0663", REFUSED, "\u0663"),
    ("true", REFUSED, "true"),
    (".", REFUSED, "."),
    ("e5", REFUSED, "e5"),
    ("3\n4", REFUSED, "3\n4"),
)
"""An extra as sent, its value for a model that expects a number, and for one that expects text; None is unknown."""


def extras() -> Iterator[dict[str, Any]]:
    """Yield values of `extra`: every hostile name and value, and more pairs than allowed."""
    yield from ({name: 1.5} for name in EXTRA_NAMES)
    yield from ({name: "five"} for name in EXTRA_NAMES)
    yield from ({"V1": value} for value in EXTRA_VALUES)
    for pairs in (256, 257, 5000):
        yield {f"V{number}": number for number in range(pairs)}
        yield {f"V{number}": "v" for number in range(pairs)}


def _raw(**changed: Any) -> str:
    return json.dumps(ORDER | changed)


_WHOLE_TEXTS: Final = (
    "",
    " ",
    "null",
    "true",
    "5",
    '"order"',
    "[]",
    "[" + _raw() + "]",
    "{",
    "{}",
    "{}{}",
    _raw()[:-1],
    _raw() + "x",
    _raw() * 2,
    "\ufeff" + _raw(),
    "[" * 100_000,
    '{"a":' * 10_000,
    '{"transaction_id": "\\ud800"}',
    _raw().replace("299.99", "NaN"),
    _raw().replace("299.99", "-Infinity"),
    _raw().replace("299.99", "1e400"),
    _raw().replace("299.99", "1" * 5000),
    _raw()[:-1] + ',"account_age_days":5}',
    _raw()[:-1] + ',"account_age_days":500}',
    _raw()[:-1] + ',"user_id":"somebody else"}',
    "{" + ",".join(f'"field{number}":1' for number in range(20_000)) + "}",
    '{"' + "k" * 100_000 + '":1}',
    _raw(user_agent="x" * 600_000),
)
WHOLE_BODIES: Final[tuple[bytes, ...]] = (
    *(text.encode("utf-8", "surrogatepass") for text in _WHOLE_TEXTS),
    b"\xff\xfe",
    b"\x00" * 100,
    b"\x1f\x8b\x08\x00garbage",
    bytes(range(256)),
)

HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-api-key", b"a\tb"),
    (b"x-api-key", b"\xff\xfe"),
    (b"x-api-key", "sch\u00fcssel".encode()),
    (b"x-api-key", b"k" * 20_000),
    (b"authorization", b"Bearer \xe9"),
    (b"authorization", b"Bearer a\tb"),
    (b"authorization", b"Basic " + b"A" * 20_000),
    (b"x-request-id", b"a\tb"),
    (b"x-request-id", b"\xff"),
    (b"x-request-id", b"i" * 5000),
    (b"grpc-timeout", b"nonsense"),
    (b"te", b"\xff"),
    (b"accept", b"\xff"),
)
"""Headers that gRPC or HTTP cannot forward. `httpx` sends them unchanged."""


def messages() -> Iterator[tuple[str, Transaction]]:
    """Yield every field with the boundaries of its wire type, as a stub in another language can set them."""
    base = Transaction(transaction_id="t", user_id="u", order_amount=10.0)
    base.timestamp.FromJsonString("2025-02-11T10:00:00Z")
    for descriptor in Transaction.DESCRIPTOR.fields:
        for value in _wire_values(descriptor):
            order = Transaction()
            order.CopyFrom(base)
            if descriptor.name in EXTRAS:
                getattr(order, descriptor.name).update(value)
            elif descriptor.message_type is not None:
                part = getattr(order, descriptor.name)
                part.seconds, part.nanos = value
            else:
                setattr(order, descriptor.name, value)
            yield descriptor.name, order


def _wire_values(field: FieldDescriptor | Any) -> tuple[Any, ...]:
    if field.name in EXTRAS:
        fine, values = ("v", TEXTS) if field.name == TEXTS_MAP else (1.5, (*NUMBERS, float("nan"), float("-inf")))
        many = [{f"V{number}": fine for number in range(pairs)} for pairs in (256, 257, 50_000)]
        return (*({name: fine} for name in EXTRA_NAMES), *({"V1": value} for value in values), *many)
    if field.message_type is not None:
        seconds = (-(2**63), -1, 0, 1_739_268_000, 253_402_300_799, 253_402_300_800, 2**63 - 1)
        nanos = (-(2**31), -1, 0, 999_999_999, 1_000_000_000, 2**31 - 1)
        return tuple((second, nano) for second in seconds for nano in nanos)
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT32:
        return (-(2**31), -1, 0, 36_500, 36_501, 2**31 - 1)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return (-(2**31), -1, 0, 1, 99, 2**31 - 1)
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return (*NUMBERS, float("nan"), float("inf"), float("-inf"))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return (False, True)
    return TEXTS
