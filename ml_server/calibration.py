"""From the booster's raw log-odds to a probability of legitimacy: a monotone curve through a few measured points."""

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 1e-6, 1 - 1e-6


def logistic(log_odds: float) -> float:
    """Probability of given log-odds."""
    if log_odds >= 0:
        return 1 / (1 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1 + odds)


@dataclass(frozen=True)
class Calibration:
    """Raw log-odds of legitimacy and the true ones, both rising; straight between the points, slope 1 beyond them."""

    raw: tuple[float, ...]
    true: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.raw) != len(self.true) or not self.raw:
            raise ValueError("a calibration needs as many raw as true log-odds, and at least one")
        if any(b <= a for a, b in itertools.pairwise(self.raw)) or any(b < a for a, b in itertools.pairwise(self.true)):
            raise ValueError("the points of a calibration must rise")

    def score(self, raw: float, shift: float = 0.0) -> float:
        """Probability of legitimacy for raw log-odds; `shift` is added to the true log-odds."""
        place = bisect_right(self.raw, raw)
        if place == 0:
            result = self.true[0] + raw - self.raw[0]
        elif place == len(self.raw):
            result = self.true[-1] + raw - self.raw[-1]
        else:
            low, high = self.raw[place - 1], self.raw[place]
            part = (raw - low) / (high - low)
            result = self.true[place - 1] + part * (self.true[place] - self.true[place - 1])
        return min(max(logistic(result + shift), LOWEST), HIGHEST)

    def scores(self, raw: NDArray[np.float64], shift: float = 0.0) -> NDArray[np.float64]:
        """As `score`, for many."""
        low, high = self.raw[0], self.raw[-1]
        result = np.interp(raw, self.raw, self.true) + np.minimum(raw - low, 0) + np.maximum(raw - high, 0) + shift
        return np.clip(1 / (1 + np.exp(-result)), LOWEST, HIGHEST)


def fit_calibration(
    raw: NDArray[np.float64], is_legitimate: NDArray[np.float64], bins: int = 24, strength: float = 40.0
) -> Calibration:
    """Fit on rows that the booster was not fitted on, or a straight shift where they are few.

    Rows are put into bins of equal number by raw score; in each the observed share is pulled towards the mean stated
    probability with the weight of `strength` rows, so that bins at the ends, all of one class, stay finite. Isotonic
    regression keeps the points rising.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(raw, kind="stable")
    groups = [group for group in np.array_split(order, min(bins, max(1, len(raw) // 200))) if len(group)]
    stated = 1 / (1 + np.exp(-raw))
    points = [
        (float(raw[g].mean()), float((is_legitimate[g].sum() + strength * stated[g].mean()) / (len(g) + strength)))
        for g in groups
    ]
    points = [point for place, point in enumerate(points) if place == 0 or point[0] > points[place - 1][0]]
    x = np.array([point[0] for point in points])
    share = np.clip([point[1] for point in points], LOWEST, HIGHEST)
    rising = IsotonicRegression(out_of_bounds="clip").fit_transform(x, np.log(share / (1 - share)))
    return Calibration(tuple(x.tolist()), tuple(np.asarray(rising).tolist()))


def expected_calibration_error(scores: NDArray[np.float64], outcomes: NDArray[np.float64], bins: int = 15) -> float:
    """Mean distance of stated and observed probability over bins of equal width, weighted by rows.

    Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    place = np.minimum((scores * bins).astype(int), bins - 1)
    rows = np.bincount(place, minlength=bins)
    stated = np.bincount(place, weights=scores, minlength=bins)
    observed = np.bincount(place, weights=outcomes, minlength=bins)
    return float(np.abs(stated - observed).sum() / rows.sum())


def reliability(
    scores: NDArray[np.float64], outcomes: NDArray[np.float64], bins: int = 15
) -> Sequence[tuple[float, float, int]]:
    """The reliability curve: mean score, observed share and rows of each bin of equal width that has rows."""
    place = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        (float(scores[place == b].mean()), float(outcomes[place == b].mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    ]
