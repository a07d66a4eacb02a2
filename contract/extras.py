"""What a shop knows beside the fields of an order: the rules of names and texts, read from the contract's own descriptors."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from contract.fields import EXTRAS
from generated.buf.validate import validate_pb2
from generated.vouch.v1.transaction_pb2 import Transaction

NUMBERS, TEXTS = EXTRAS


def _rules(name: str) -> Any:
    options: Any = Transaction.DESCRIPTOR.fields_by_name[name].GetOptions()
    return options.Extensions[validate_pb2.field].map


MOST: Final[int] = _rules(NUMBERS).max_pairs
"""Pairs in one map."""
NAME: Final[str] = _rules(NUMBERS).keys.string.pattern
"""What a name has to match."""
LONGEST: Final[int] = _rules(TEXTS).values.string.max_len
"""Characters of a text."""
_fits = re.compile(NAME[1:-1], re.ASCII).fullmatch


def is_name(name: str) -> bool:
    """Whether a request can carry an extra of this name."""
    return _fits(name) is not None


def extra_text(text: str) -> str:
    """A text without spaces around it; empty, which is unknown, where nothing is left or a request could not carry it."""
    return text.strip() if len(text) <= LONGEST else ""


EXACT: Final = 2**53
"""Beyond this size a double does not hold every whole number: what arrives need not be what was sent."""
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?").fullmatch


class WrongType(ValueError):
    """An extra that cannot be read as the type that is wanted; the message says which one is."""


def number_text(number: float) -> str:
    """A finite number as a text of a table or a request: whole ones without a fraction, others in the shortest form."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def text_extra(numbers: Mapping[str, float], texts: Mapping[str, str], name: str) -> str | None:
    """The extra of a name as a text, None where it is absent or empty. Raises WrongType."""
    if name in texts and (text := extra_text(texts[name])):
        return text
    if name not in numbers:
        return None
    number = numbers[name]
    if not abs(number) <= EXACT:
        raise WrongType("must be a text: as a number of this size it is not exact")
    return number_text(number)


def number_extra(numbers: Mapping[str, float], texts: Mapping[str, str], name: str) -> float | None:
    """The extra of a name as a number, None where it is absent or empty. Raises WrongType."""
    if name in numbers:
        return numbers[name]
    text = texts[name].strip() if name in texts else ""
    if not text:
        return None
    number = float(text) if _DECIMAL(text) else math.nan
    if not math.isfinite(number):
        raise WrongType("must be a number, or a text that is one, as in 2.5")
    return number
