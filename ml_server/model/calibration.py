"""Calibration: a monotone curve from raw log-odds to a probability of legitimacy, through a few points."""

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 1e-6, 1 - 1e-6


def logistic(log_odds: float) -> float:
    """Return the probability for log-odds."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1 + odds)


@dataclass(frozen=True)
class Calibration:
    """Raw and true log-odds of legitimacy at some points, both rising; linear between them, slope 1 beyond them."""

    raw: tuple[float, ...]
    true: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.raw) != len(self.true) or not self.raw:
            raise ValueError("a calibration needs as many raw as true log-odds, and at least one")
        if any(b <= a for a, b in itertools.pairwise(self.raw)) or any(b < a for a, b in itertools.pairwise(self.true)):
            raise ValueError("the points of a calibration must rise")

    def score(self, raw: float, shift: float = 0.0) -> float:
        """Return the probability of legitimacy for raw log-odds; `shift` is added to the true log-odds."""
        piece = bisect_right(self.raw, raw)
        if piece == 0:
            result = self.true[0] + raw - self.raw[0]
        elif piece == len(self.raw):
            result = self.true[-1] + raw - self.raw[-1]
        else:
            low, high = self.raw[piece - 1], self.raw[piece]
            part = (raw - low) / (high - low)
            result = self.true[piece - 1] + part * (self.true[piece] - self.true[piece - 1])
        return min(max(logistic(result + shift), LOWEST), HIGHEST)

    def scores(self, raw: NDArray[np.float64], shift: float = 0.0) -> NDArray[np.float64]:
        """Return `score` for many values."""
        low, high = self.raw[0], self.raw[-1]
        result = np.interp(raw, self.raw, self.true) + np.minimum(raw - low, 0) + np.maximum(raw - high, 0) + shift
        return np.clip(1 / (1 + np.exp(-result)), LOWEST, HIGHEST)
