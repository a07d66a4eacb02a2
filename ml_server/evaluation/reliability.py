"""Calibration: distance between predicted probabilities and observed shares."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def expected_calibration_error(
    scores: NDArray[np.float64],
    outcomes: NDArray[np.float64],
    bins: int = 15,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Return the mean distance of predicted and observed probability over bins of equal width, weighted by rows or
    `weights`.

    Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    bin_number = np.minimum((scores * bins).astype(int), bins - 1)
    weights = np.ones(len(scores)) if weights is None else weights
    stated = np.bincount(bin_number, weights=weights * scores, minlength=bins)
    observed = np.bincount(bin_number, weights=weights * outcomes, minlength=bins)
    return float(np.abs(stated - observed).sum() / weights.sum())


def reliability(
    scores: NDArray[np.float64], outcomes: NDArray[np.float64], bins: int = 15
) -> Sequence[tuple[float, float, int]]:
    """Return the reliability curve: mean score, observed share and rows of each non-empty bin of equal width."""
    bin_number = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        (float(scores[bin_number == b].mean()), float(outcomes[bin_number == b].mean()), int((bin_number == b).sum()))
        for b in range(bins)
        if (bin_number == b).any()
    ]
