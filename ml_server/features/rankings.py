"""Text features as smoothed abuse rates, learned in training (Micci-Barreca, A Preprocessing Scheme for
High-Cardinality Categorical Attributes, 2001).
"""

import numpy as np
from numpy.typing import NDArray

from ml_server.features.operations import OTHERS
from ml_server.features.sources import ColumnSource, Numbers

SMOOTHING = 30.0
"""Weight of the mean rate, in rows of a text."""
LARGE = 300
"""Rows from which a single row hardly influences a text's rate, so that out-of-fold rates are unnecessary."""


def fit_ranking(columns: ColumnSource, name: str, is_abuse: Numbers, at_least: int) -> dict[str, float]:
    """Return the abuse rates of a column's texts, smoothed towards the mean; OTHERS, for all other texts, has the mean.

    Texts with fewer rows than `at_least` are not listed.
    """
    text = columns.text(name)
    known = text.codes >= 0
    rows = np.bincount(text.codes[known], minlength=len(text.values))
    abuse = np.bincount(text.codes[known], weights=is_abuse[known], minlength=len(text.values))
    mean = float(is_abuse.mean())
    rate = (abuse + SMOOTHING * mean) / (rows + SMOOTHING)
    ranking = {text.values[code]: float(rate[code]) for code in np.flatnonzero(rows >= at_least).tolist()}
    # Also if no text is listed: rows are then fitted on the mean, and messages must be read in the same way.
    return {OTHERS: mean} | dict(sorted(ranking.items())) if known.any() else {}


def out_of_fold(
    columns: ColumnSource, name: str, is_abuse: Numbers, folds: NDArray[np.intp], at_least: int, counted: int
) -> Numbers:
    """Return the column for fitting, shape (rows,): texts that are not LARGE have rates from the rows of the other
    folds.

    A row's own label would leak into its text's rate, and the model would trust it too much. Only the first `counted`
    rows count; the others are copies of them. All arrays have shape (rows,).
    """
    text = columns.text(name)
    texts, count = len(text.values), int(folds.max()) + 1
    known = np.flatnonzero(text.codes[:counted] >= 0)
    codes, own = text.codes[known], folds[known]
    rows = np.bincount(codes * count + own, minlength=texts * count).reshape(texts, count)
    abuse = np.bincount(codes * count + own, is_abuse[known], texts * count).reshape(texts, count)
    mean = float(is_abuse[:counted].mean())
    all_rows, all_abuse = rows.sum(axis=1, keepdims=True), abuse.sum(axis=1, keepdims=True)
    other_rows, other_abuse = all_rows - rows, all_abuse - abuse
    rates = (other_abuse + SMOOTHING * mean) / (other_rows + SMOOTHING)
    rates[other_rows < at_least] = mean
    whole = (all_abuse + SMOOTHING * mean) / (all_rows + SMOOTHING)
    rates = np.where(all_rows >= LARGE, whole, rates)
    return np.where(text.codes < 0, np.nan, np.vstack([rates, np.full(count, np.nan)])[text.codes, folds])
