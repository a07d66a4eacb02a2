"""Reads an order's JSON body into its message. A compiled function accepts the usual forms of valid values.

It reads JSON and checks types and rules at once, in a third of the time of the model of `transaction`, which decides
about everything else, and words the errors. A test compares the two.
"""

from collections.abc import Callable
from typing import Any, Final

from orjson import JSONDecodeError, loads

from contract.extras import MAX_PAIRS, MAX_TEXT_LENGTH, is_name
from contract.fields import FIELDS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.json.mapping import EXTRA, to_transaction
from http_bridge.json.times import to_seconds
from http_bridge.json.transaction import INT32, check_duplicate_keys, parse
from runtime.validation.contract_predicates import field_conditions

_MAX_BYTES: Final = 4 << 10
"""Longer bodies go to the model, which limits the work that they cause."""
_LARGEST: Final = 1.7976931348623157e308
_CLASSES: Final = {
    "text": "v.__class__ is str",
    "number": f"(v.__class__ is float or v.__class__ is int) and -{_LARGEST} <= v <= {_LARGEST}",
    "count": f"v.__class__ is int and {INT32[0]} <= v <= {INT32[1]}",
    "flag": "v.__class__ is bool",
}
"""Conditions on a value v by the kind of its field."""


def read_order(body: bytes, order: Transaction) -> None:
    """Read a body into an empty message. Raises pydantic.ValidationError that names each invalid field."""
    if len(body) <= _MAX_BYTES:
        try:
            values = loads(body)
            if values.__class__ is dict and _read_usual(values, order):
                check_duplicate_keys(body, len(values) + len(values.get(EXTRA) or ()))
                return
        except (JSONDecodeError, ValueError):
            pass
        order.Clear()
    order.MergeFrom(to_transaction(parse(body)))


def _compile() -> Callable[[dict[str, Any], Transaction], bool]:
    """Return a function that sets the fields of an order. It returns False, or raises ValueError, if one may be invalid."""
    names: dict[str, Any] = {"known": frozenset((*FIELDS, EXTRA)), "to_seconds": to_seconds, "read_extra": _read_extra}
    lines = ["def read(values, order):", "if not known.issuperset(values): return False", "get = values.get"]
    for field in Transaction.DESCRIPTOR.fields:
        if field.name not in FIELDS:
            continue
        lines.append(f"v = get({field.name!r})")
        if field.name in REQUIRED:
            lines += ["if v is None: return False", *_lines(field, names)]
        else:
            lines += ["if v is not None:", *(f" {line}" for line in _lines(field, names))]
    lines += [f"v = get({EXTRA!r})", "return v is None or read_extra(v, order)"]
    exec("\n ".join(lines), names)  # noqa: S102  from the contract only, no external input
    read: Callable[[dict[str, Any], Transaction], bool] = names["read"]
    return read


def _lines(field: Any, names: dict[str, Any]) -> list[str]:
    """Return the lines that check the value v of a field and set it."""
    name, kind = field.name, FIELDS[field.name].kind
    if kind == "time":
        return [f"t = order.{name}", "t.seconds, t.nanos = to_seconds(v)"]
    if kind == "enum":
        names[f"named_{name}"] = FIELDS[name].numbers
        return [f"if v.__class__ is not str or v not in named_{name}: return False", f"order.{name} = named_{name}[v]"]
    conditions = [_CLASSES[kind], *(text.replace("$", "v") for text in field_conditions(field, names))]
    return [f"if not ({' and '.join(conditions)}): return False", f"order.{name} = v"]


def _read_extra(values: Any, order: Transaction) -> bool:
    """Set the extras of an order. Returns False if one may be invalid."""
    if values.__class__ is not dict or len(values) > MAX_PAIRS or not all(map(is_name, values)):
        return False
    for name, value in values.items():
        if value.__class__ is str and len(value) <= MAX_TEXT_LENGTH:
            order.extra_texts[name] = value
        elif value.__class__ in (int, float) and -_LARGEST <= value <= _LARGEST:
            order.extra_numbers[name] = value
        elif value is not None:
            return False
    return True


_read_usual: Final = _compile()
