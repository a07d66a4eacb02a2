"""What a shop knows beside the fields of an order: the rules of names and texts, read from the contract's own descriptors."""

import re
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
