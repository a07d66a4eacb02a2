"""Columns that nearly tell the label alone: probably known only after the outcome. Pure."""

from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from ml_server.data.values import Series

NEARLY: Final = 0.95
"""Average precision of one column from which it is suspect."""
_MIN_ABUSE: Final = 20
_BINS: Final = 64
_MAX_ROWS: Final = 200_000


def precision_alone(values: "Series[Any]", is_abuse: np.ndarray) -> float:
    """Return the average precision of a score that reads only this column; 0 if there are too few labels.

    Shares of abuse by value (numbers: by one of 64 quantiles) of one half of the rows score the other half, and the
    other way round. `is_abuse` contains 0 and 1, shape (rows,).
    """
    values, is_abuse = values.iloc[:_MAX_ROWS].reset_index(drop=True), is_abuse[:_MAX_ROWS]
    if min(is_abuse.sum(), len(is_abuse) - is_abuse.sum()) < _MIN_ABUSE:
        return 0.0
    codes = _codes(values)
    half = np.random.default_rng(0).integers(0, 2, len(codes)).astype(bool)
    scores = np.empty(len(codes))
    for known, other in ((half, ~half), (~half, half)):
        mean = is_abuse[known].mean()
        rows = np.bincount(codes[known], minlength=codes.max() + 1)
        abuse = np.bincount(codes[known], is_abuse[known], minlength=codes.max() + 1)
        scores[other] = ((abuse + mean) / (rows + 1))[codes[other]]
    return float(average_precision_score(is_abuse, scores))


def _codes(values: "Series[Any]") -> np.ndarray:
    """Return a small number for each value; unknown values share one."""
    if pd.api.types.is_numeric_dtype(values.dtype) and values.nunique() > _BINS:
        values = pd.qcut(values.astype("float64"), _BINS, labels=False, duplicates="drop")
    return np.asarray(pd.factorize(values, use_na_sentinel=True)[0]) + 1


def leak_warning(column: str, values: "Series[Any]", is_abuse: np.ndarray) -> str | None:
    """Return a warning if a column nearly tells the label alone, else None."""
    alone = precision_alone(values, is_abuse)
    if alone < NEARLY:
        return None
    return (
        f"{column} nearly tells the label alone (average precision {alone:.3f}); known only afterwards? "
        "if so, leave it out"
    )
