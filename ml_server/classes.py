"""The classes that the booster tells apart, and how their scores become one log-odds of legitimacy.

Abuse is several different things, each with signs of its own that add up. So the booster gives each class a score of its
own, and the raw log-odds of legitimacy is

    raw = log sum exp(scores of honest classes) - log sum exp(scores of abuse classes)

One score for abuse as such would have to learn that "or" by deep trees: it was measured to need more rows for the same
regret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from runtime.contract import ABUSE_TYPES

HONEST = ("legitimate", "suspicious_but_legitimate")
ABUSE = "abuse"

# Gauss-Legendre points on 0..1: the integrand is smooth, and 12 points leave less than the rounding of the sums.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_QUADRATURE = list(zip(((_POINTS + 1) / 2).tolist(), (_WEIGHTS / 2).tolist(), strict=True))


@dataclass(frozen=True)
class Classes:
    """Names of the booster's classes in its order: honest ones first, then abuse types, or just `abuse`."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < self.honest < len(self.names):
            raise ValueError(f"classes must be honest ones and abuse ones, not {', '.join(self.names)}")

    @cached_property
    def honest(self) -> int:
        """How many of the classes are honest."""
        return sum(name in HONEST for name in self.names)

    @cached_property
    def type_places(self) -> tuple[int | None, ...]:
        """Place of each of ABUSE_TYPES among the classes."""
        return tuple(self.names.index(name) if name in self.names else None for name in ABUSE_TYPES)

    def raw(self, scores: Sequence[float]) -> float:
        """Raw log-odds of legitimacy of one order."""
        return _log_sum_exp(scores[: self.honest]) - _log_sum_exp(scores[self.honest :])

    def raws(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `raw`, for scores of shape (rows, classes)."""
        honest, abuse = scores[:, : self.honest], scores[:, self.honest :]
        result: NDArray[np.float64] = np.logaddexp.reduce(honest, axis=1) - np.logaddexp.reduce(abuse, axis=1)
        return result

    def type_shares(self, scores: Sequence[float]) -> list[float]:
        """Probability of each of ABUSE_TYPES, given that it is abuse; they sum to 1, or are empty if not told apart."""
        if not self._told_apart:
            return []
        highest = max(scores[self.honest :])
        weights = [0.0 if place is None else exp(scores[place] - highest) for place in self.type_places]
        total = sum(weights)
        return [weight / total for weight in weights]

    @cached_property
    def _told_apart(self) -> bool:
        return any(place is not None for place in self.type_places)

    def slopes(self, base: Sequence[float], scores: Sequence[float]) -> list[float]:
        """How much of a step of each class's score arrives in the raw log-odds, on the straight way from `base` to `scores`.

        A feature that adds x to a class's score thereby earns x times that class's slope, its share by the way of Aumann
        and Shapley (Values of Non-Atomic Games, 1974). The integral is taken by quadrature.
        """
        honest, classes = self.honest, range(len(base))
        steps = [end - start for start, end in zip(base, scores, strict=True)]
        found = [0.0] * len(base)
        for point, weight in _QUADRATURE:
            way = [start + point * step for start, step in zip(base, steps, strict=True)]
            top = max(way[:honest]), max(way[honest:])
            odds = [exp(way[place] - top[place >= honest]) for place in classes]
            total = weight / sum(odds[:honest]), -weight / sum(odds[honest:])
            for place in classes:
                found[place] += odds[place] * total[place >= honest]
        return found

    def settled(self, earned: NDArray[np.float64], base: Sequence[float], scores: Sequence[float]) -> list[float]:
        """Contributions whose sum is the raw log-odds exactly: what quadrature left over is shared in proportion.

        `earned` has shape (features,); behind them comes the base value, the raw log-odds at `base`.
        """
        start, end = self.raw(base), self.raw(scores)
        sizes = np.abs(earned)
        size = sizes.sum()
        if size > 0:
            earned = earned + sizes * ((end - start - earned.sum()) / size)
        return [*earned.tolist(), start]


def _log_sum_exp(values: Sequence[float]) -> float:
    highest = max(values)
    return highest + log(sum([exp(value - highest) for value in values]))
