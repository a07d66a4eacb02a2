"""Domains of variables: named categories, or bins of whole numbers.

A pattern declares bins, never single values of a wide range. The position of a row inside a bin is drawn in the same
way for every pattern, so it carries no information about the pattern: the bins alone contain all the evidence.
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
        """Return the code of a value; raise ValueError naming it if there is none."""
        if value not in self.values:
            raise ValueError(f"{value!r} is not one of {list(self.values)}")
        return self.values.index(value)

    def label(self, code: int) -> Any:
        """Return the value of a code, with which conditions of declarations are compared."""
        return self.values[code]


@dataclass(frozen=True)
class Bins:
    """Bins of whole numbers: code i represents edges[i] <= value < edges[i + 1]."""

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
        """Return the code of the bin that contains a value; raise ValueError if there is none."""
        if not self.edges[0] <= value < self.edges[-1]:
            raise ValueError(f"{value!r} is outside {self.edges[0]}..{self.edges[-1] - 1}")
        return int(np.searchsorted(self.lower, value, side="right")) - 1

    def label(self, code: int) -> int:
        """Return the lowest value of a bin."""
        return self.edges[code]


Domain = Categories | Bins


def counts(highest: int) -> Bins:
    """Return bins for every whole number from 0 to `highest`, one each."""
    return Bins(tuple(range(highest + 2)))


def widening(start: int, stop: int, bins: int, step: int = 1) -> Bins:
    """Return about `bins` bins from `start` to `stop` whose widths are proportional to the value, rounded to `step`."""
    raw = np.geomspace(max(start, step), stop, bins)
    edges: Sequence[int] = sorted({start, *(round(edge / step) * step for edge in raw)})
    return Bins(tuple(edges))
