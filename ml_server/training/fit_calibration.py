"""Fitting a calibration on rows that the booster was not fitted on."""

import numpy as np
from numpy.typing import NDArray

from ml_server.model.calibration import HIGHEST, LOWEST, Calibration


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
