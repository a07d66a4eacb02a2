"""Training on the soft label: each row becomes several weighted examples, one for each class.

The soft label is the probability of abuse, not of its kind. The distribution of that probability over the kinds, and of
the rest over the honest classes, comes from a first model that was fitted on the hard labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_server.features.sources import Numbers
from ml_server.model.log_odds import LogOdds

MIN_WEIGHT = 0.01  # smaller shares are omitted: they cost rows without effect


def class_weights(scores: Numbers, confidence: Numbers, log_odds: LogOdds) -> Numbers:
    """Return class weights, shape (rows, classes): abuse classes sum to `confidence`, honest ones to the rest."""
    honest = log_odds.honest
    weights = np.empty_like(scores)
    for part, total in ((slice(0, honest), 1 - confidence), (slice(honest, None), confidence)):
        shares = np.exp(scores[:, part] - scores[:, part].max(axis=1, keepdims=True))
        weights[:, part] = shares / shares.sum(axis=1, keepdims=True) * total[:, None]
    return weights


def expand(weights: Numbers) -> tuple[NDArray[Any], NDArray[Any], Numbers]:
    """Return row, class and weight of each example: one for each class of a row with a sufficient weight."""
    rows, places = np.nonzero(weights >= MIN_WEIGHT)
    return rows, places, weights[rows, places]
