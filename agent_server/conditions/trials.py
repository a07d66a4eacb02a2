"""Conditions tried on orders of all kinds before they serve: one that fails whatever the order is a mistake. Pure."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from agent_server.conditions.language import (
    CHOICES,
    KINDS,
    Condition,
    ConditionError,
    ConditionFailed,
    Language,
    texts_of,
)
from agent_server.conditions.presence import flag_of
from agent_server.conditions.satisfiability import bounds_of

_TEXTS: Final = (
    "a", "1", "1.5", "true", "5s", "2026-03-01T10:00:00Z", "UTC", "é漢", "(", "a" * 1024,
)  # fmt: skip
"""What conversions of texts may want, and what they cannot want."""
_TIMES: Final = (
    datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, 3, 30, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC),
)  # fmt: skip
_MOST: Final = 64
_MOST_APART: Final = 16


def check_evaluates(language: Language, condition: Condition) -> None:
    """Raise ConditionError where a condition fails for every order that it is tried on, all its names being known."""
    failure = ""
    for facts in _facts(condition):
        try:
            condition.answer(language.activation(facts))
            return
        except ConditionFailed as error:
            failure = error.cause
    raise ConditionError(f"this cannot be evaluated for any order: {failure}", 1, 1)


def _facts(condition: Condition) -> Iterator[dict[str, Any]]:
    """Values of all names of a condition: its own texts among them, numbers at their limits.

    First all names have the same text, then each of them another one, until two names have met in all pairs.
    """
    texts = [*dict.fromkeys([*texts_of(condition.text), *_TEXTS])][:_MOST]
    names = sorted(name for name in condition.names if not name.startswith("lists."))
    for apart, turn in itertools.product(range(min(len(texts), _MOST_APART)), range(max(len(texts), 8))):
        values = {name: _value(name, turn + apart * place, texts) for place, name in enumerate(names)}
        lists: dict[str, list[Any]] = {f"lists.{name}": [] for _, name in condition.looked_up}
        for field, name in condition.looked_up if turn % 2 else ():
            lists[f"lists.{name}"].append(values[f"order.{field}"])
        yield values | lists | {flag_of(name): True for name in condition.presence}


def _value(name: str, turn: int, texts: list[str]) -> Any:
    kind = KINDS[name]
    if kind == "flag":
        return turn % 2 == 0
    if kind == "text":
        return texts[turn % len(texts)]
    if kind == "enum":
        return CHOICES[name][turn % len(CHOICES[name])]
    if kind == "time":
        return _TIMES[turn % len(_TIMES)]
    low, high = bounds_of(name)
    value = (1.0, low, high, min(max(7.0, low), high))[turn % 4]
    return int(value) if kind == "count" else value
