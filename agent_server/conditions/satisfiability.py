"""Whether a condition can hold for any order at all: one that cannot is a mistake. Pure.

A condition that only compares (no arithmetic, no calls) depends on each value only through where it lies among the numbers and
texts that the condition names. So it is asked about one value for each such place: if none of them makes it hold, none does.
Fields that it asks `has` of are unknown too.
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agent_server.conditions.language import CHOICES, KINDS, Condition, Language, texts_of, without_texts
from agent_server.conditions.presence import flag_of
from contract.fields import FIELDS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.validation.field_rules import rules_of

_MOST: Final = 20_000
"""Combinations that are tried; a condition with more is taken to be possible."""
_OTHERS = ("any other text?", "one more text?")
_ABSENT: Final = object()
"""An unknown value."""
_PRESENT: Final = object()
"""A value of which only is asked whether it is known."""
_SIMPLE = re.compile(
    r"(?:\s|&&|\|\||!=?|==|<=?|>=?|[()\[\],]|@|\b(?:true|false|in)\b|\b(?:order|abuse|lists)\.\w+|\b(?:score|likely_abuse)\b"
    r"|\bhas_(?:order|abuse)_\w+_\b"
    r"|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)*"
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")


def is_satisfiable(language: Language, condition: Condition) -> bool:
    """Whether it can; True also where it cannot be said."""
    masked = without_texts(condition.written)
    if not _SIMPLE.fullmatch(masked):
        return True
    numbers = sorted({float(text) for text in _NUMBER.findall(masked)})
    texts = [*dict.fromkeys(texts_of(condition.text)), *_OTHERS]
    names = sorted(name for name in condition.names if not name.startswith("lists."))
    if any(KINDS[name] == "time" for name in names):
        return True
    values = {name: _candidates(name, numbers, texts) for name in names}
    for name in condition.presence:
        absent = [_ABSENT] if name.removeprefix("order.") not in REQUIRED else []
        values[name] = values.get(name, [_PRESENT]) + (absent if name.startswith("order.") else [])
    lists = sorted(condition.looked_up)
    scores = (True, False) if any(name.startswith("abuse.") for name in condition.presence) else (True,)
    if math.prod(map(len, values.values())) * 2 ** len(lists) * len(scores) > _MOST:
        return True
    return any(
        condition.matches(language.activation(asked | listed))
        for scored in scores
        for chosen in itertools.product(*values.values())
        for asked in [_asked(condition, dict(zip(values, chosen, strict=True)), scored=scored)]
        for listed in _listed(lists, asked)
    )


def _asked(condition: Condition, chosen: Mapping[str, Any], *, scored: bool) -> dict[str, Any]:
    """What a condition is asked about: the values that are known, and which of them are."""
    known = {
        name: value for name, value in chosen.items() if value is not _ABSENT and (scored or name.startswith("order."))
    }
    values = {name: value for name, value in known.items() if value is not _PRESENT}
    return values | {flag_of(name): name in known for name in condition.presence}


def _listed(lists: Sequence[tuple[str, str]], asked: Mapping[str, Any]) -> Iterator[dict[str, list[Any]]]:
    """The lists, with the values that are looked up in them and without."""
    for members in itertools.product((False, True), repeat=len(lists)):
        listed: dict[str, list[Any]] = {f"lists.{name}": [] for _, name in lists}
        for (field, name), member in zip(lists, members, strict=True):
            if member and f"order.{field}" in asked:
                listed[f"lists.{name}"].append(asked[f"order.{field}"])
        yield listed


def _candidates(name: str, numbers: list[float], texts: list[str]) -> list[Any]:
    kind = KINDS[name]
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
    """The least and the greatest value that the contract allows, both included."""
    if not name.startswith("order."):
        return 0.0, 1.0
    field: Any = Transaction.DESCRIPTOR.fields_by_name[name.removeprefix("order.")]
    bounds = rules_of(field).bounds
    kind = "int32" if FIELDS[name.removeprefix("order.")].kind == "count" else "double"
    least, most = (-(2.0**31), 2.0**31 - 1) if kind == "int32" else (-1e300, 1e300)
    step = (lambda value, side: value + side) if kind == "int32" else (lambda v, s: math.nextafter(v, s * math.inf))
    low = bounds["gte"] if "gte" in bounds else step(bounds["gt"], 1) if "gt" in bounds else least
    high = bounds["lte"] if "lte" in bounds else step(bounds["lt"], -1) if "lt" in bounds else most
    return float(low), float(high)
