"""Fits a calibration on out-of-fold scores, with as many pieces as the number of frauds supports."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ml_server.model.calibration import HIGHEST, LOWEST, Calibration

Vector = NDArray[np.float64]
MIN_SLOPE = 0.05
"""Minimum slope of a piece: a flat one would make different scores equal."""
_FAR = 40.0  # log-odds beyond all scores
_ROWS_PER_PIECE = 50  # rows of the rarer label in a piece


def fit_calibration(
    raw: Vector, is_legitimate: Vector, folds: NDArray[np.intp] | None = None, weights: Vector | None = None
) -> Calibration:
    """Return the best of identity, a line, and several numbers of pieces, by cross-validated log-loss on the folds.

    All arrays have shape (rows,); rows count by `weights`, whose mean is 1.
    """
    weights = np.ones(len(raw)) if weights is None else weights
    folds = np.arange(len(raw)) % 5 if folds is None else folds
    rarer = int(min(is_legitimate.sum(), len(raw) - is_legitimate.sum()))
    candidates: list[Callable[[Vector, Vector, Vector], Calibration]] = [lambda *_: Calibration((0.0,), (0.0,)), line]
    candidates += [partial(pieces, count=count) for count in (4, 8, 16, 24) if rarer >= count * _ROWS_PER_PIECE]
    losses = []
    for candidate in candidates:
        stated = np.empty(len(raw))
        for fold in np.unique(folds):
            own = folds == fold
            if own.all() or len(np.unique(is_legitimate[~own])) < 2:
                return candidates[0](raw, is_legitimate, weights)
            stated[own] = candidate(raw[~own], is_legitimate[~own], weights[~own]).scores(raw[own])
        losses.append(-np.mean(weights * np.where(is_legitimate == 1, np.log(stated), np.log1p(-stated))))
    return candidates[int(np.argmin(losses))](raw, is_legitimate, weights)


def line(raw: Vector, is_legitimate: Vector, weights: Vector) -> Calibration:
    """Fit a rising line (Platt, Probabilistic Outputs for Support Vector Machines, 1999)."""
    base, slope = 0.0, 1.0
    for _ in range(30):  # Newton's method on log-loss, with a weak prior for the identity
        stated = 1 / (1 + np.exp(-np.clip(base + slope * raw, -_FAR, _FAR)))
        spread = weights * stated * (1 - stated)
        wrong = weights * (stated - is_legitimate)
        gradient = np.array([np.sum(wrong) + base, np.sum(wrong * raw) + slope - 1])
        mixed = np.sum(spread * raw)
        step = np.linalg.solve(
            np.array([[np.sum(spread) + 1, mixed], [mixed, np.sum(spread * raw * raw) + 1]]), gradient
        )
        base, slope = (
            base - float(np.clip(step[0], -1, 1)),
            max(slope - float(np.clip(step[1], -0.5, 0.5)), MIN_SLOPE),
        )
    return Calibration((-_FAR, _FAR), (base - slope * _FAR, base + slope * _FAR))


def pieces(raw: Vector, is_legitimate: Vector, weights: Vector, count: int) -> Calibration:
    """Fit straight pieces between points of equal weight, where each label has half of the weight; strictly rising.

    In each bin the observed share is pulled towards the mean predicted probability with the weight of 10 rows of either
    label, so that bins of one label stay finite.
    """
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(raw, kind="stable")
    good, bad = np.sum(weights * is_legitimate), np.sum(weights * (1 - is_legitimate))
    weight = (weights * np.where(is_legitimate == 1, 0.5 / good, 0.5 / bad))[order]
    bins = np.minimum((np.cumsum(weight) * count).astype(int), count - 1)
    x: list[float] = []
    y: list[float] = []
    sizes: list[float] = []
    for number in np.unique(bins):
        own = order[bins == number]
        size = float(weights[own].sum())
        stated = float(np.sum(weights[own] / (1 + np.exp(-raw[own])))) / size
        pull = 10 / max(min(stated, 1 - stated), 1e-3)
        share = np.clip((np.sum(weights[own] * is_legitimate[own]) + pull * stated) / (size + pull), LOWEST, HIGHEST)
        # The raw score of the mean predicted probability, not the mean raw score: the curve bends within a bin.
        at = float(np.log(stated / (1 - stated)))
        if not x or at > x[-1]:
            x.append(at)
            y.append(float(np.log(share / (1 - share))))
            sizes.append(size * max(stated * (1 - stated), 1e-9))
    points = np.array(x)
    rising = IsotonicRegression().fit_transform(points, np.array(y) - MIN_SLOPE * points, sample_weight=np.array(sizes))
    return Calibration(tuple(x), tuple((np.asarray(rising) + MIN_SLOPE * points).tolist()))
