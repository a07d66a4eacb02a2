"""`history.count(event, key, window)` in conditions: a count that the agent reads before it evaluates rules. Pure.

Each call is replaced by a variable of its own, whose name is shorter than the call, so positions in CEL's errors stay
valid.
"""

import re
from typing import Final

from history.counts import define_count, parse_window
from history.definitions import Definition

COUNT_VARIABLE: Final = re.compile(r"\bcount_[a-z_]+_by_[a-z_]+_\d+_\b")
"""The variables that replace calls of `history.count`."""
_USE: Final = re.compile(r"\bhistory\b")
_TEXT: Final = r"""\s*(?:"([^"\\\n]*)"|'([^'\\\n]*)')\s*"""
_CALL: Final = re.compile(rf"history\.count\({_TEXT},{_TEXT},{_TEXT}\)")


class CountError(Exception):
    """A call of `history.count` is invalid; `place` is its position in the condition."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.message, self.place = message, place


def replace_counts(text: str, masked: str) -> tuple[str, frozenset[Definition]]:
    """Replace each call by a variable; return the text and the counts. Raises CountError.

    `masked` is the condition after `mask_literals`.
    """
    counts: set[Definition] = set()
    for use in reversed(list(_USE.finditer(masked))):
        call = _CALL.match(text, use.start())
        if call is None:
            raise CountError('write history.count("payment_attempt", "card_bin", "1h")', use.start())
        event, key, window = (call[place] or call[place + 1] or "" for place in (1, 3, 5))
        try:
            count = define_count(event, key, parse_window(window))
        except ValueError as error:
            raise CountError(str(error), use.start()) from None
        counts.add(count)
        spaces = re.sub(r"\S", "", call[0])  # including line breaks
        padding = " " * (len(call[0]) - len(count.name) - len(spaces))
        text = text[: use.start()] + count.name + padding + spaces + text[call.end() :]
    return text, frozenset(counts)
