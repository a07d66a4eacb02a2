"""Checks that a condition can be true for some order; a condition that cannot is a mistake. Pure.

If a condition only compares (no arithmetic, no calls), a value matters only by its position among the numbers and
strings in the condition. So one value for each position is tried: if none makes the condition true, no value does.
Fields that it tests with `has` are also tried as unknown.
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agent_server.conditions.extras import is_extra
from agent_server.conditions.history_counts import COUNT_VARIABLE
from agent_server.conditions.language import (
    AMOUNT_IN_BASE,
    CHOICES,
    Language,
    PolicyCondition,
    kind_of,
    mask_literals,
    string_literals,
)
from agent_server.conditions.presence import presence_variable
from contract.fields import FIELDS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from history.counts import MAX_COUNT
from runtime.validation.field_rules import rules_of

_MAX_COMBINATIONS: Final = 20_000
"""Maximum number of combinations to try; a condition with more counts as satisfiable."""
_OTHER_TEXTS = ("any other text?", "one more text?")
_ABSENT: Final = object()
"""An unknown value."""
_PRESENT: Final = object()
"""A value that is only tested for presence."""
_SIMPLE = re.compile(
    r"(?:\s|&&|\|\||!=?|==|<=?|>=?|[()\[\],]|@|\b(?:true|false|in)\b|\border\.(?:extra|texts)\.\w+|\b(?:order|abuse|lists)\.\w+|\b(?:score|likely_abuse)\b"
    rf"|\bhas_(?:order|abuse)_\w+_\b|{COUNT_VARIABLE.pattern}"
    r"|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)*"
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")


def is_satisfiable(language: Language, condition: PolicyCondition) -> bool:
    """Return whether a condition can be true; True also if that cannot be determined."""
    masked = mask_literals(condition.source)
    if not _SIMPLE.fullmatch(masked):
        return True
    numbers = sorted({float(text) for text in _NUMBER.findall(masked)})
    texts = [*dict.fromkeys(string_literals(condition.text)), *_OTHER_TEXTS]
    names = sorted(name for name in condition.names if not name.startswith("lists."))
    if any(kind_of(name) == "time" for name in names):
        return True
    values = {name: _candidate_values(name, numbers, texts) for name in names}
    for name in condition.presence:
        absent = [_ABSENT] if name.removeprefix("order.") not in REQUIRED else []
        values[name] = values.get(name, [_PRESENT]) + (absent if name.startswith("order.") else [])
    lists = sorted(condition.list_lookups)
    scores = (True, False) if any(name.startswith("abuse.") for name in condition.presence) else (True,)
    if math.prod(map(len, values.values())) * 2 ** len(lists) * len(scores) > _MAX_COMBINATIONS:
        return True
    return any(
        condition.matches(language.activation(inputs | listed))
        for scored in scores
        for chosen in itertools.product(*values.values())
        for inputs in [_build_values(condition, dict(zip(values, chosen, strict=True)), scored=scored)]
        for listed in _list_memberships(lists, inputs)
    )


def _build_values(condition: PolicyCondition, chosen: Mapping[str, Any], *, scored: bool) -> dict[str, Any]:
    """Return the input of an evaluation: the known values, and the variables that say which names are known."""
    known = {
        name: value for name, value in chosen.items() if value is not _ABSENT and (scored or name.startswith("order."))
    }
    values = {name: value for name, value in known.items() if value is not _PRESENT}
    return values | {presence_variable(name): name in known for name in condition.presence}


def _list_memberships(lists: Sequence[tuple[str, str]], inputs: Mapping[str, Any]) -> Iterator[dict[str, list[Any]]]:
    """Yield the lists with and without the values that are looked up in them."""
    for members in itertools.product((False, True), repeat=len(lists)):
        listed: dict[str, list[Any]] = {f"lists.{name}": [] for _, name in lists}
        for (field, name), member in zip(lists, members, strict=True):
            if member and f"order.{field}" in inputs:
                listed[f"lists.{name}"].append(inputs[f"order.{field}"])
        yield listed


def _candidate_values(name: str, numbers: list[float], texts: list[str]) -> list[Any]:
    kind = kind_of(name)
    if kind == "flag":
        return [False, True]
    if kind == "enum":
        return list(CHOICES[name])
    if kind == "text":
        return list(texts)
    low, high = bounds_of(name)
    edges = [low, *numbers, high]
    steps = {near for edge in numbers for near in (edge - 1, edge, edge + 1)} | {low, high}
    if kind == "number":
        steps |= {(a + b) / 2 for a, b in itertools.pairwise(sorted({*edges, *numbers}))}
        steps |= {math.nextafter(edge, side) for edge in edges for side in (-math.inf, math.inf)}
    inside = sorted(value for value in steps if low <= value <= high)
    return [int(value) for value in inside if value == int(value)] if kind == "count" else inside


def bounds_of(name: str) -> tuple[float, float]:
    """Return the minimum and maximum value of a number, as the contract or history limit it, both inclusive."""
    if COUNT_VARIABLE.fullmatch(name):
        return 0.0, float(MAX_COUNT)
    if is_extra(name):
        return -1e300, 1e300
    if not name.startswith("order."):
        return 0.0, 1.0
    name = "order.order_amount" if name == AMOUNT_IN_BASE else name
    field: Any = Transaction.DESCRIPTOR.fields_by_name[name.removeprefix("order.")]
    bounds = rules_of(field).bounds
    kind = "int32" if FIELDS[name.removeprefix("order.")].kind == "count" else "double"
    least, most = (-(2.0**31), 2.0**31 - 1) if kind == "int32" else (-1e300, 1e300)
    step = (lambda value, side: value + side) if kind == "int32" else (lambda v, s: math.nextafter(v, s * math.inf))
    low = bounds["gte"] if "gte" in bounds else step(bounds["gt"], 1) if "gt" in bounds else least
    high = bounds["lte"] if "lte" in bounds else step(bounds["lt"], -1) if "lt" in bounds else most
    return float(low), float(high)
