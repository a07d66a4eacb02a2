"""Difference between two models on the same rows, with a confidence interval."""

from collections.abc import Callable, Sequence

import numpy as np

from ml_server.features.sources import Numbers

RESAMPLES = 300
_LOWEST = 1e-6


def weighted_precision(order: np.ndarray, is_abuse: Numbers, weights: Numbers) -> float:
    """Return the average precision of rows ordered from most to least suspicious, weighted; 0 without abuse.

    A resample of few rows may contain no abuse. It then counts as no difference.
    """
    labels, counts = is_abuse[order], weights[order]
    found, seen = np.cumsum(labels * counts), np.cumsum(counts)
    if not found[-1]:
        return 0.0
    return float(np.sum(labels * counts * found / np.maximum(seen, 1e-12)) / found[-1])


def _bootstrap(
    rows: int, weights: Numbers | None, difference: Callable[[Numbers], float]
) -> tuple[float, float, float]:
    """Return a difference and its 95 % interval over resampled rows; `difference` gets the weight of each row.

    A paired bootstrap: both models get the same resampled rows (Efron, Bootstrap Methods, 1979).
    """
    rng = np.random.default_rng(0)
    weights = np.ones(rows) if weights is None else weights
    share = np.full(rows, 1 / rows)
    resampled = [difference(rng.multinomial(rows, share).astype(float) * weights) for _ in range(RESAMPLES)]
    low, high = (float(np.percentile(resampled, at)) for at in (2.5, 97.5))
    return difference(weights), low, high


def log_loss_interval(
    ours: Numbers, theirs: Numbers, is_abuse: Numbers, weights: Numbers | None = None
) -> tuple[float, float, float]:
    """Return the difference of log-loss, below 0 if `ours` is better, and its 95 % interval over resampled rows.

    Scores are P(abuse), arrays of shape (rows,).
    """
    own, other = (_losses(scores, is_abuse) for scores in (ours, theirs))
    return _bootstrap(len(is_abuse), weights, lambda counts: float(np.average(own - other, weights=counts)))


def _losses(scores: Numbers, is_abuse: Numbers) -> Numbers:
    clipped = np.clip(scores, _LOWEST, 1 - _LOWEST)
    return -np.where(is_abuse == 1, np.log(clipped), np.log1p(-clipped))


def interval(
    ours: Sequence[Numbers], theirs: Sequence[Numbers], is_abuse: Numbers, weights: Numbers | None = None
) -> tuple[float, float, float]:
    """Return the mean difference of average precision over seeds, and its 95 % interval over resampled rows.

    Scores are P(abuse), one array of shape (rows,) for each seed.
    """
    orders = [[np.argsort(-scores, kind="stable") for scores in side] for side in (ours, theirs)]

    def difference(counts: Numbers) -> float:
        own, other = (np.mean([weighted_precision(order, is_abuse, counts) for order in side]) for side in orders)
        return float(own - other)

    return _bootstrap(len(is_abuse), weights, difference)
