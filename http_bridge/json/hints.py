"""Hints for fields that an order does not have: the known field that is meant, or what to send instead."""

import difflib
import re
from typing import Any, Final

from contract.fields import FIELDS
from http_bridge.json.mapping import EXTRA

_MAX_NAME: Final = 64
_CUTOFF: Final = 0.8
_MAX_LENGTH_DIFFERENCE: Final = 2


def plain_name(name: str) -> str:
    """Return a name in lower case without separators: orderAmount, Order-Amount and order_amount are the same."""
    return re.sub("[^a-z0-9]", "", name[:_MAX_NAME].lower())


_KNOWN: Final = {plain_name(name): name for name in (*FIELDS, EXTRA)}


def unknown_field(name: str, value: Any) -> str:
    """Return the error message for an unknown field of an order, with a hint on the right form."""
    plain = plain_name(name)
    if plain in ("transaction", "order") and isinstance(value, dict):
        return (
            f"unknown field; send the fields of the order as the body itself, without the object `{name}` around them"
        )
    if plain in ("transactions", "orders") and isinstance(value, list):
        return "unknown field; this is one order: send a list of orders to the path that ends with :batch"
    if meant := _KNOWN.get(plain) or _similar(plain):
        return f"unknown field; did you mean {meant}?"
    return f"unknown field; send the shop's own fields in `{EXTRA}`"


def _similar(plain: str) -> str | None:
    """Return the known field that differs from a name by a typing error.

    It compares with a few names only: a body may have a thousand unknown fields.
    """
    near = [one for one in _KNOWN if one[:1] == plain[:1] and abs(len(one) - len(plain)) <= _MAX_LENGTH_DIFFERENCE]
    found = difflib.get_close_matches(plain, near, 1, _CUTOFF)
    return _KNOWN[found[0]] if found else None
