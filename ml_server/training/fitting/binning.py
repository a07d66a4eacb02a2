"""Values in bins before they are fitted: few bins, placed where the rarer label sits.

Equally full bins cut off the tail that holds the frauds unless there are a thousand of them, and a thousand make tables of a
million cells. So half of the cuts are quantiles of the abuse rows alone, half of the honest ones: 64 such cuts were measured
to be as good as 1,023 plain ones where 1 row in 500 is a fraud.
"""

import numpy as np

from ml_server.features.sources import Numbers

_SAMPLE = 200_000  # rows of a label that quantiles are taken of
_MEAN_WIDTH = 1e-9  # wide enough for a rounding, and no text's rate comes as close by chance


def cuts_of(column: Numbers, is_abuse: Numbers, bins: int) -> Numbers:
    """Rising cuts, at most `bins`; a value's code is how many of them lie below it."""
    cuts = []
    for label in (0, 1):
        values = column[(is_abuse == label) & ~np.isnan(column)]
        values = np.sort(values[:: max(1, len(values) // _SAMPLE)])
        if len(values):
            distinct = np.unique(values)
            half = bins // 2
            places = (np.arange(1, half + 1) * len(values) / (half + 1)).astype(int)
            cuts.append(distinct if len(distinct) <= half else values[places])
    return np.unique(np.concatenate(cuts)) if cuts else np.empty(0)


def rate_cuts(rates: Numbers, is_abuse: Numbers, bins: int, mean: float) -> Numbers:
    """Rising cuts for the rates of texts, shape (rows,): between rates, not at them, and around `mean`.

    A row is fitted on its text's rate in the other folds, which is close to the rate that serving reads, but not equal. A cut
    half way between the rates of two texts keeps both in one bin; a cut at a rate would put them into different ones. Rates
    are smoothed towards the mean and never cross it, so that nothing separates the nearest rates from the bin of the mean.
    That bin holds no text but those that are too rare for a rate, and those never seen.
    """
    known = np.unique(rates[~np.isnan(rates)])
    if not len(known):
        return np.empty(0)
    low, high = mean * (1 - _MEAN_WIDTH), mean * (1 + _MEAN_WIDTH)
    chosen = np.searchsorted(known, cuts_of(rates, is_abuse, bins))
    chosen = chosen[chosen < len(known) - 1]
    left, right = known[chosen], known[chosen + 1]
    beside = (right < low) | (left > high)
    return np.unique([*((left + right) / 2)[beside], low, high])


def codes_of(column: Numbers, cuts: Numbers) -> np.ndarray:
    """Codes of values, NaN for unknown, shape (rows,) in float32: what LightGBM reads without a copy."""
    return np.where(np.isnan(column), np.nan, np.searchsorted(cuts, column)).astype(np.float32)
