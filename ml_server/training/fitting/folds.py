"""Folds of time for cross-validation."""

import numpy as np
from numpy.typing import NDArray

from ml_server.features.sources import Numbers

TURNS = 20
"""Number of alternating parts of time if there are two folds."""
Folds = NDArray[np.intp]
"""The fold of each row, shape (rows,)."""


def folds_in_time(is_abuse: Numbers, count: int) -> Folds:
    """Return the fold of each row of a table ordered by time: equal parts; two folds alternate, so that both cover all
    times.

    If a part would contain only one label, the rows of each label are distributed over the folds in turn instead.
    """
    rows = len(is_abuse)
    folds = np.arange(rows) * count // rows if count > 2 else np.arange(rows) * TURNS // rows % count
    abuse = np.bincount(folds, is_abuse, count)
    if np.all((abuse > 0) & (abuse < np.bincount(folds, minlength=count))):
        return folds
    for label in (0, 1):
        own = np.flatnonzero(is_abuse == label)
        folds[own] = np.arange(len(own)) % count
    return folds


def typical_loss(losses: list[list[float]]) -> NDArray[np.float64]:
    """Return the typical loss, shape (rounds,), of losses by round and fold: the median of the folds, each relative to
    its first.

    An unusual part of time must not determine when to stop.
    """
    courses = np.array(losses)
    return np.asarray(np.median(courses / courses[0], axis=1))
