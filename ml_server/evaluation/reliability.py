"""How far stated probabilities are from observed shares."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def expected_calibration_error(scores: NDArray[np.float64], outcomes: NDArray[np.float64], bins: int = 15) -> float:
    """Mean distance of stated and observed probability over bins of equal width, weighted by rows.

    Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    bin_number = np.minimum((scores * bins).astype(int), bins - 1)
    rows = np.bincount(bin_number, minlength=bins)
    stated = np.bincount(bin_number, weights=scores, minlength=bins)
    observed = np.bincount(bin_number, weights=outcomes, minlength=bins)
    return float(np.abs(stated - observed).sum() / rows.sum())


def reliability(
    scores: NDArray[np.float64], outcomes: NDArray[np.float64], bins: int = 15
) -> Sequence[tuple[float, float, int]]:
    """The reliability curve: mean score, observed share and rows of each bin of equal width that has rows."""
    bin_number = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        (float(scores[bin_number == b].mean()), float(outcomes[bin_number == b].mean()), int((bin_number == b).sum()))
        for b in range(bins)
        if (bin_number == b).any()
    ]
