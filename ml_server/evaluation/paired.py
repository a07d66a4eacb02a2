"""How much better one model is than another on the same rows, with an interval."""

from collections.abc import Sequence

import numpy as np

from ml_server.features.sources import Numbers

RESAMPLES = 300


def weighted_precision(order: np.ndarray, is_abuse: Numbers, weights: Numbers) -> float:
    """Average precision of rows in an order from most to least suspicious, each counted by its weight."""
    labels, counts = is_abuse[order], weights[order]
    found, seen = np.cumsum(labels * counts), np.cumsum(counts)
    return float(np.sum(labels * counts * found / np.maximum(seen, 1e-12)) / found[-1])


def interval(ours: Sequence[Numbers], theirs: Sequence[Numbers], is_abuse: Numbers) -> tuple[float, float, float]:
    """Mean difference of average precision over seeds, and its 95 % interval over resampled rows.

    Scores are P(abuse), one array of shape (rows,) for each seed. A paired bootstrap: both see the same resampled rows
    (Efron, Bootstrap Methods, 1979).
    """
    rng, rows = np.random.default_rng(0), len(is_abuse)
    orders = [[np.argsort(-scores, kind="stable") for scores in side] for side in (ours, theirs)]
    differences = []
    for number in range(RESAMPLES + 1):
        weights = np.ones(rows) if number == 0 else rng.multinomial(rows, np.full(rows, 1 / rows)).astype(float)
        own, other = (np.mean([weighted_precision(order, is_abuse, weights) for order in side]) for side in orders)
        differences.append(float(own - other))
    low, high = (float(np.percentile(differences[1:], at)) for at in (2.5, 97.5))
    return differences[0], low, high
