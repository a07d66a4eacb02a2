"""How much better one model is than another on the same rows, with an interval."""

from collections.abc import Sequence

import numpy as np

from ml_server.features.sources import Numbers

RESAMPLES = 300
_LOWEST = 1e-6


def weighted_precision(order: np.ndarray, is_abuse: Numbers, weights: Numbers) -> float:
    """Average precision of rows in an order from most to least suspicious, each counted by its weight."""
    labels, counts = is_abuse[order], weights[order]
    found, seen = np.cumsum(labels * counts), np.cumsum(counts)
    return float(np.sum(labels * counts * found / np.maximum(seen, 1e-12)) / found[-1])


def log_loss_interval(
    ours: Numbers, theirs: Numbers, is_abuse: Numbers, weights: Numbers | None = None
) -> tuple[float, float, float]:
    """Difference of log-loss, below 0 where `ours` is better, and its 95 % interval over resampled rows.

    Scores are P(abuse), arrays of shape (rows,). The same paired bootstrap.
    """
    rng, rows = np.random.default_rng(0), len(is_abuse)
    weights = np.ones(rows) if weights is None else weights
    own, other = (_losses(scores, is_abuse) for scores in (ours, theirs))
    differences = []
    for number in range(RESAMPLES + 1):
        counts = np.ones(rows) if number == 0 else rng.multinomial(rows, np.full(rows, 1 / rows)).astype(float)
        differences.append(float(np.average(own - other, weights=counts * weights)))
    low, high = (float(np.percentile(differences[1:], at)) for at in (2.5, 97.5))
    return differences[0], low, high


def _losses(scores: Numbers, is_abuse: Numbers) -> Numbers:
    clipped = np.clip(scores, _LOWEST, 1 - _LOWEST)
    return -np.where(is_abuse == 1, np.log(clipped), np.log1p(-clipped))


def interval(
    ours: Sequence[Numbers], theirs: Sequence[Numbers], is_abuse: Numbers, weights: Numbers | None = None
) -> tuple[float, float, float]:
    """Mean difference of average precision over seeds, and its 95 % interval over resampled rows.

    Scores are P(abuse), one array of shape (rows,) for each seed. A paired bootstrap: both see the same resampled rows
    (Efron, Bootstrap Methods, 1979).
    """
    rng, rows = np.random.default_rng(0), len(is_abuse)
    orders = [[np.argsort(-scores, kind="stable") for scores in side] for side in (ours, theirs)]
    differences = []
    for number in range(RESAMPLES + 1):
        counts = np.ones(rows) if number == 0 else rng.multinomial(rows, np.full(rows, 1 / rows)).astype(float)
        counts = counts if weights is None else counts * weights
        own, other = (np.mean([weighted_precision(order, is_abuse, counts) for order in side]) for side in orders)
        differences.append(float(own - other))
    low, high = (float(np.percentile(differences[1:], at)) for at in (2.5, 97.5))
    return differences[0], low, high
