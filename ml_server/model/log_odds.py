"""Conversion of class scores to the log-odds of legitimacy, and the influence of each class's score on it.

There are several kinds of abuse, each with its own additive signs. So the booster has a score for each class, and the
raw log-odds of legitimacy is

    raw = log sum exp(scores of honest classes) - log sum exp(scores of abuse classes)

A single score for abuse would have to learn the "or" by deep trees, and was measured to need more rows for the same
regret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from contract.abuse_types import ABUSE_TYPES, HONEST_TYPES
from ml_server.model.unrolled import Slopes, slopes_for

ABUSE = "abuse"
"""The only class of abuse if labels do not distinguish kinds."""
# Gauss-Legendre points on 0..1 for one panel. If scores diverge by at most PANEL_SPREAD over a panel, the shares of the
# classes are analytic far enough around the path that the error with 12 points is below 1e-9 (Trefethen, Is Gauss
# Quadrature Better than Clenshaw-Curtis?, 2008, theorem 4.5); a test checks 1e-6 at extreme scores.
PANEL_SPREAD = 6.0
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_QUADRATURE = list(zip(((_POINTS + 1) / 2).tolist(), (_WEIGHTS / 2).tolist(), strict=True))


@dataclass(frozen=True)
class LogOdds:
    """Classes of the booster in its order: honest ones first, then abuse types, or just `abuse`."""

    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < self.honest < len(self.classes):
            raise ValueError(f"classes need honest and abuse ones, not {', '.join(self.classes)}")

    @cached_property
    def honest(self) -> int:
        """Number of honest classes."""
        return sum(name in HONEST_TYPES for name in self.classes)

    @cached_property
    def abuse_places(self) -> tuple[int | None, ...]:
        """Index of each of ABUSE_TYPES among the classes."""
        return tuple(self.classes.index(name) if name in self.classes else None for name in ABUSE_TYPES)

    def of(self, scores: Sequence[float]) -> float:
        """Return the raw log-odds of legitimacy of one order."""
        return _log_sum_exp(scores[: self.honest]) - _log_sum_exp(scores[self.honest :])

    def of_rows(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `of` for scores of shape (rows, classes)."""
        honest, abuse = scores[:, : self.honest], scores[:, self.honest :]
        result: NDArray[np.float64] = np.logaddexp.reduce(honest, axis=1) - np.logaddexp.reduce(abuse, axis=1)
        return result

    def with_shares(self, scores: Sequence[float]) -> tuple[float, list[float]]:
        """Return `of`, and the probability of each of ABUSE_TYPES given abuse, if there are several kinds."""
        abuse = scores[self.honest :]
        highest = max(abuse)
        weights = [exp(score - highest) for score in abuse]
        total = sum(weights)
        raw = _log_sum_exp(scores[: self.honest]) - (highest + log(total))
        if not self._has_kinds:
            return raw, []
        return raw, [0.0 if place is None else weights[place - self.honest] / total for place in self.abuse_places]

    @cached_property
    def _has_kinds(self) -> bool:
        return any(index is not None for index in self.abuse_places)

    def slopes(self, base: Sequence[float], scores: Sequence[float]) -> list[float]:
        """Return the influence of each class's score on the raw log-odds, on the straight path from `base` to `scores`.

        A feature that adds x to a class's score contributes x times that class's slope: its share by the method of
        Aumann and Shapley (Values of Non-Atomic Games, 1974). The integral of the classes' shares over the path is
        computed by quadrature, with a number of panels proportional to the path's length.
        """
        steps = [end - start for start, end in zip(base, scores, strict=True)]
        honest, abuse = steps[: self.honest], steps[self.honest :]
        spread = max(max(honest) - min(honest), max(abuse) - min(abuse))
        return self._slopes(base, scores, 1 + int(spread / PANEL_SPREAD))

    @cached_property
    def _slopes(self) -> Slopes:
        return slopes_for(self.honest, len(self.classes), _QUADRATURE)

    @staticmethod
    def balance(contributions: Sequence[float], start: float, end: float) -> list[float]:
        """Return contributions whose sum with `start` is exactly `end`, followed by `start`.

        The rounding error is distributed in proportion to their sizes.
        """
        size = sum(map(abs, contributions))
        if size > 0:
            left = (end - start - sum(contributions)) / size
            contributions = [value + abs(value) * left for value in contributions]
        return [*contributions, start]


def _log_sum_exp(values: Sequence[float]) -> float:
    highest = max(values)
    return highest + log(sum([exp(value - highest) for value in values]))
