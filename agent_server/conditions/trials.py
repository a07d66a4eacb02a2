"""Evaluates conditions on many sample values when a policy is loaded, to find those that always fail. Pure."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from agent_server.conditions.language import (
    CHOICES,
    ConditionError,
    EvaluationError,
    Language,
    PolicyCondition,
    kind_of,
    string_literals,
)
from agent_server.conditions.presence import presence_variable
from agent_server.conditions.satisfiability import bounds_of

_TEXTS: Final = (
    "a", "1", "1.5", "true", "5s", "2026-03-01T10:00:00Z", "UTC", "é漢", "(", "a" * 1024,
)  # fmt: skip
"""Strings that conversions accept, and strings that they reject."""
_TIMES: Final = (
    datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, 3, 30, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC),
)  # fmt: skip
_MAX_TEXTS: Final = 64
_MAX_OFFSET: Final = 16


def check_evaluates(language: Language, condition: PolicyCondition) -> None:
    """Raise ConditionError if a condition fails on all sample values, with all its names known."""
    failure = ""
    for facts in _trial_values(condition):
        try:
            condition.evaluate(language.activation(facts))
            return
        except EvaluationError as error:
            failure = error.cause
    raise ConditionError(f"condition cannot be evaluated for any order: {failure}", 1, 1)


def _trial_values(condition: PolicyCondition) -> Iterator[dict[str, Any]]:
    """Yield values for all names of a condition, including its own string literals and numbers at their limits.

    First all names have the same string, then different ones, until two names have been combined in all pairs.
    """
    texts = [*dict.fromkeys([*string_literals(condition.text), *_TEXTS])][:_MAX_TEXTS]
    names = sorted(name for name in condition.names if not name.startswith("lists."))
    for offset, turn in itertools.product(range(min(len(texts), _MAX_OFFSET)), range(max(len(texts), 8))):
        values = {name: _trial_value(name, turn + offset * place, texts) for place, name in enumerate(names)}
        lists: dict[str, list[Any]] = {f"lists.{name}": [] for _, name in condition.list_lookups}
        for field, name in condition.list_lookups if turn % 2 else ():
            lists[f"lists.{name}"].append(values[f"order.{field}"])
        yield values | lists | {presence_variable(name): True for name in condition.presence}


def _trial_value(name: str, turn: int, texts: list[str]) -> Any:
    kind = kind_of(name)
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
