"""Folds: parts of time that are left out in turn."""

import numpy as np
from numpy.typing import NDArray

from ml_server.features.sources import Numbers

TURNS = 20
"""Parts of time that two folds take in turn."""
Folds = NDArray[np.intp]
"""The fold of each row, shape (rows,)."""


def folds_in_time(is_abuse: Numbers, count: int) -> Folds:
    """Fold of each row of a table in order of time: parts of equal length; two folds take TURNS, so that both know all times.

    Where a part would hold one label alone, the rows of each label are dealt out in turn instead.
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


def typical(losses: list[list[float]]) -> NDArray[np.float64]:
    """The typical course of loss, shape (rounds,), of losses by round and fold: each fold as a share of its first, the median.

    One part of time that is unlike the others must not say when to stop.
    """
    courses = np.array(losses)
    return np.asarray(np.median(courses / courses[0], axis=1))
