"""Bins of values, as in every form of model: a value's bin is the number of thresholds below it; unknown is bin 0.

The thresholds of a feature rise after a leading -inf, so the bin of every number is at least 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Thresholds = tuple[tuple[float, ...], ...]

GRID = 2.0**-36
"""Scores are multiples of this: sums below 2**16 are then exact in any order and any grouping."""


def check_thresholds(thresholds: Thresholds) -> None:
    """Raise ValueError if thresholds do not rise from -inf."""
    if any(array[0] != -np.inf or np.any(np.diff(array) <= 0) for array in thresholds):
        raise ValueError("thresholds must rise from -inf")


def to_bins(column: Floats, thresholds: Sequence[float]) -> Places:
    """Return the bins of many values of one feature, NaN for unknown."""
    return np.where(np.isnan(column), 0, np.searchsorted(thresholds, column))


def bins_of_many(thresholds: Thresholds, matrix: Floats) -> Places:
    """Return the bins of rows of features, shape (features, rows). Raises ValueError for another number of features."""
    if matrix.shape[1] != len(thresholds):
        raise ValueError(f"the model reads {len(thresholds)} features, not {matrix.shape[1]}")
    return np.stack([to_bins(matrix[:, feature], known) for feature, known in enumerate(thresholds)])
