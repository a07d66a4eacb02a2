"""What values a variable can take: named categories, or bins of whole numbers.

A pattern never speaks of single values of a wide range; it speaks of bins. Where a row falls inside a bin is drawn in
the same way for every pattern, so it says nothing about the pattern, and the bins alone carry all the evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Categories:
    """Named values: strings, booleans, or None for "not applicable"."""

    values: tuple[Any, ...]

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.values)

    def code(self, value: Any) -> int:
        """Code of a value; raise ValueError naming it when there is none."""
        if value not in self.values:
            raise ValueError(f"{value!r} is not one of {list(self.values)}")
        return self.values.index(value)

    def label(self, code: int) -> Any:
        """Value of a code: what a declaration's condition is compared with."""
        return self.values[code]


@dataclass(frozen=True)
class Bins:
    """Whole numbers in bins: code i stands for edges[i] <= value < edges[i + 1]."""

    edges: tuple[int, ...]
    lower: IntArray = field(init=False, repr=False, compare=False)
    width: IntArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges, dtype=np.int64)
        if len(edges) < 2 or np.any(np.diff(edges) <= 0):
            raise ValueError("bin edges must increase")
        object.__setattr__(self, "lower", edges[:-1])
        object.__setattr__(self, "width", np.diff(edges))

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.edges) - 1

    def code(self, value: int) -> int:
        """Code of the bin that holds a value; raise ValueError when none does."""
        if not self.edges[0] <= value < self.edges[-1]:
            raise ValueError(f"{value!r} is outside {self.edges[0]}..{self.edges[-1] - 1}")
        return int(np.searchsorted(self.lower, value, side="right")) - 1

    def label(self, code: int) -> int:
        """Lowest value of a bin."""
        return self.edges[code]


Domain = Categories | Bins


def counts(highest: int) -> Bins:
    """Every whole number from 0 to `highest`, one bin each."""
    return Bins(tuple(range(highest + 2)))


def widening(start: int, stop: int, bins: int, step: int = 1) -> Bins:
    """About `bins` bins from `start` to `stop` whose widths grow in proportion to the value, rounded to `step`."""
    raw = np.geomspace(max(start, step), stop, bins)
    edges: Sequence[int] = sorted({start, *(round(edge / step) * step for edge in raw)})
    return Bins(tuple(edges))
