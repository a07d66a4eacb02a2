"""Whole numbers next to fractions in conditions, as in order.avg_order_value * 3. Pure.

CEL calculates and compares only values of one type. Where its checker names a double beside an int, the int is written as a
double: 3 as 3.0, and any other operand as double(operand).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_MAX_CHANGES: Final = 200
_TOKEN: Final = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?[uU]?|[A-Za-z_]\w*|&&|\|\||[<>=!]=|@+|\S")
_MISMATCH: Final = re.compile(
    r"<input>:(\d+):(\d+): found no matching overload for '(\S+)' applied to '\((int|double), (int|double|list\(int\))\)'"
)
_STRENGTH: Final = {
    "||": 1, "&&": 2, **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 3), "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}  # fmt: skip
"""Binary operators; a higher number binds more strongly."""
_ENDS: Final = ("(", ")", "[", "]", "{", "}", ",", "?", ":")
_INTEGER: Final = re.compile(r"-?\s*\d+")


class SourceError(Exception):
    """An error of CEL; `source` is the text that it is about."""

    def __init__(self, cause: str, source: str) -> None:
        super().__init__(cause)
        self.source = source


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int
    depth: int
    binary: bool
    """Whether it is an operator between two operands."""


def compile_with_fractions(
    source: str, mask: Callable[[str], str], compile_source: Callable[[str], Any]
) -> tuple[str, Any]:
    """Compile a condition, with ints beside doubles written as doubles; return the changed source and the program.

    `mask` replaces string literals by @. Raises SourceError for whatever else is wrong.
    """
    for _ in range(_MAX_CHANGES):
        try:
            return source, compile_source(source)
        except RuntimeError as error:
            changed = _change(source, mask(source), str(error))
            if changed is None:
                raise SourceError(str(error), source) from None
            source = changed
    raise SourceError("condition mixes whole numbers and fractions too often", source)


def _change(source: str, masked: str, cause: str) -> str | None:
    """Return the source with the int operand of the first mismatch as a double; None if there is none to change."""
    match = _MISMATCH.search(cause)
    if match is None or {match[4], match[5]} == {"int"} or match[4] == match[5]:
        return None
    lines = masked.split("\n")
    place = sum(len(line) + 1 for line in lines[: int(match[1]) - 1]) + int(match[2]) - 1
    tokens = _tokens(masked)
    at = next((number for number, token in enumerate(tokens) if token.start == place), None)
    if at is None or not tokens[at].binary:
        return None
    start, end = _right(tokens, at) if match[4] == "double" else _left(tokens, at)
    operand = source[start:end]
    if match[5] == "list(int)":
        return source[:start] + re.sub(r"(?<![\w.])(-?\d+)(?![\w.])", r"\1.0", operand) + source[end:]
    changed = f"{operand}.0" if _INTEGER.fullmatch(operand) else f"double({operand})"
    return source[:start] + changed + source[end:]


def _tokens(masked: str) -> list[_Token]:
    tokens: list[_Token] = []
    depth = 0
    for match in _TOKEN.finditer(masked):
        text = match[0]
        if text in ")]}":
            depth -= 1
        before = tokens[-1] if tokens else None
        after_operand = (
            before is not None and not before.binary and before.text not in ("(", "[", "{", ",", "?", ":", "!", "-")
        )
        binary = text in _STRENGTH and (text != "-" or after_operand)
        tokens.append(_Token(text, match.start(), match.end(), depth, binary))
        if text in "([{":
            depth += 1
    return tokens


def _right(tokens: list[_Token], at: int) -> tuple[int, int]:
    """Return the place of the right operand of an operator."""
    operator, last = tokens[at], at + 1
    for number in range(at + 1, len(tokens)):
        if _stops(tokens[number], operator, weaker=False):
            break
        last = number
    return tokens[at + 1].start, tokens[last].end


def _left(tokens: list[_Token], at: int) -> tuple[int, int]:
    """Return the place of the left operand of an operator."""
    operator, first = tokens[at], at - 1
    for number in range(at - 1, -1, -1):
        if _stops(tokens[number], operator, weaker=True):
            break
        first = number
    return tokens[first].start, tokens[at - 1].end


def _stops(token: _Token, operator: _Token, *, weaker: bool) -> bool:
    """Return whether an operand ends at a token: at a bracket or comma around it, or at an operator that binds less."""
    if token.depth > operator.depth:
        return False
    if token.depth < operator.depth:
        return True
    if token.binary:
        strength, own = _STRENGTH[token.text], _STRENGTH[operator.text]
        return strength < own if weaker else strength <= own
    return token.text in (",", "?", ":")
