"""Statistics of agreement and error rates, with 95 % intervals. Pure.

Cohen, J. (1960), A coefficient of agreement for nominal scales; its large-sample variance by Fleiss, J. L., Cohen, J.
and Everitt, B. S. (1969), Large sample standard errors of kappa and weighted kappa. Wilson, E. B. (1927) for
proportions.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_Z = 1.959963984540054  # 95 %, two-sided


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def kappa(pairs: Iterable[tuple[Hashable, Hashable]] | Mapping[tuple[Any, Any], int]) -> Interval | None:
    """Return Cohen's kappa of pairs of judgements, or of counts of pairs.

    Return None if agreement by chance is certain, which is the case if all judgements are the same.
    """
    counts = Counter(pairs)
    count = counts.total()
    if not count:
        return None
    cells = {cell: number / count for cell, number in counts.items()}
    rows, columns = defaultdict[Hashable, float](float), defaultdict[Hashable, float](float)
    for (first, second), share in cells.items():
        rows[first] += share
        columns[second] += share
    words = set(rows) | set(columns)
    observed = sum(cells.get((word, word), 0.0) for word in words)
    expected = sum(rows[word] * columns[word] for word in words)
    if expected >= 1:
        return None
    value = (observed - expected) / (1 - expected)
    agreeing = sum(
        cells.get((word, word), 0.0) * (1 - (rows[word] + columns[word]) * (1 - value)) ** 2 for word in words
    )
    differing = sum(
        share * (columns[first] + rows[second]) ** 2 for (first, second), share in cells.items() if first != second
    )
    spread = agreeing + (1 - value) ** 2 * differing - (value - expected * (1 - value)) ** 2
    half = _Z * math.sqrt(max(spread, 0.0) / count) / (1 - expected)
    return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def wilson_interval(part: int, whole: int) -> Interval:
    """Return a proportion with Wilson's interval; 0 to 1 if `whole` is 0."""
    if not whole:
        return Interval(0.0, 0.0, 1.0)
    value, square = part / whole, _Z**2
    middle = (value + square / (2 * whole)) / (1 + square / whole)
    half = _Z * math.sqrt(value * (1 - value) / whole + square / (4 * whole**2)) / (1 + square / whole)
    return Interval(value, max(0.0, middle - half), min(1.0, middle + half))


def fisher_p_value(part: int, whole: int, others_part: int, others_whole: int) -> float:
    """Return the probability of at least `part` errors by chance if all err alike: Fisher's exact test, one-sided."""
    wrong, everything = part + others_part, whole + others_whole
    ways = sum(
        math.comb(whole, count) * math.comb(others_whole, wrong - count)
        for count in range(part, min(whole, wrong) + 1)
        if wrong - count <= others_whole
    )
    return ways / math.comb(everything, wrong)
