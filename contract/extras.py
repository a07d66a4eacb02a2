"""Extra fields of an order: rules for their names and texts, read from the contract's descriptors."""

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


MAX_PAIRS: Final[int] = _rules(NUMBERS).max_pairs
"""Maximum number of entries in one map."""
NAME_PATTERN: Final[str] = _rules(NUMBERS).keys.string.pattern
"""Regular expression that a name must match."""
MAX_TEXT_LENGTH: Final[int] = _rules(TEXTS).values.string.max_len
"""Maximum length of a text, in characters."""
_match_name = re.compile(NAME_PATTERN[1:-1], re.ASCII).fullmatch


def is_name(name: str) -> bool:
    """Return whether a request can contain an extra of this name."""
    return _match_name(name) is not None


def extra_text(text: str) -> str:
    """Return a text without surrounding spaces; empty, which means unknown, if it is too long for a request."""
    return text.strip() if len(text) <= MAX_TEXT_LENGTH else ""


MAX_EXACT: Final = 2**53
"""Largest whole number up to which a double is exact. A larger one may differ from what was sent."""
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?").fullmatch


class WrongType(ValueError):
    """An extra that cannot be converted to the expected type, which the message names."""


def number_text(number: float) -> str:
    """Format a finite number for a table or a request: integers without a fraction, others in the shortest form."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def text_extra(numbers: Mapping[str, float], texts: Mapping[str, str], name: str) -> str | None:
    """Return an extra as text, None if it is absent or empty. Raises WrongType."""
    if name in texts and (text := extra_text(texts[name])):
        return text
    if name not in numbers:
        return None
    number = numbers[name]
    if not abs(number) <= MAX_EXACT:
        raise WrongType("must be a text: as a number of this size it is not exact")
    return number_text(number)


def number_extra(numbers: Mapping[str, float], texts: Mapping[str, str], name: str) -> float | None:
    """Return an extra as a number, None if it is absent or empty. Raises WrongType."""
    if name in numbers:
        return numbers[name]
    text = texts[name].strip() if name in texts else ""
    if not text:
        return None
    number = float(text) if _DECIMAL(text) else math.nan
    if not math.isfinite(number):
        raise WrongType("must be a number, or a text that is one, as in 2.5")
    return number
