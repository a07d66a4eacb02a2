"""Training on the soft label: each row as several weighted ones, a class each.

The soft label says how probable abuse is, not which kind. How that probability is shared among the kinds, and the rest
among the honest classes, is taken from a first model that was fitted on the hard labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_server.features.sources import Numbers
from ml_server.model.log_odds import LogOdds

LEAST_WEIGHT = 0.01  # lighter shares are left out: they cost rows and move nothing


def class_weights(scores: Numbers, confidence: Numbers, log_odds: LogOdds) -> Numbers:
    """Weight of each class, shape (rows, classes), summing to 1: abuse classes to `confidence`, honest ones to the rest."""
    honest = log_odds.honest
    weights = np.empty_like(scores)
    for part, total in ((slice(0, honest), 1 - confidence), (slice(honest, None), confidence)):
        shares = np.exp(scores[:, part] - scores[:, part].max(axis=1, keepdims=True))
        weights[:, part] = shares / shares.sum(axis=1, keepdims=True) * total[:, None]
    return weights


def expand(weights: Numbers) -> tuple[NDArray[Any], NDArray[Any], Numbers]:
    """Row, class and weight of each example: one for each class of a row whose weight is worth it."""
    rows, places = np.nonzero(weights >= LEAST_WEIGHT)
    return rows, places, weights[rows, places]
