"""Purification of tables: the effect of one feature that is contained in a pair is moved to that feature.

Over the training rows every table's mean is then zero along each of its features (functional analysis of variance;
Hooker, Generalized Functional ANOVA Diagnostics, 2007; Lengerich and others, Purifying Interaction Effects, 2020). The
sums do not change, but a contribution is now a distance from the average order, and a pair contains only the
interaction.
"""

from collections.abc import Sequence

import numpy as np

from ml_server.features.sources import Numbers
from ml_server.model.bins import to_bins

Pair = tuple[int, int]
_ROUNDS, _CLOSE = 60, 1e-9


def table_of(tables: dict[Pair, Numbers], pair: Pair, thresholds: Sequence[Sequence[float]], classes: int) -> Numbers:
    """Return the table of a pair of features (the same twice for one feature), shape (bins, bins or 1, classes)."""
    if pair not in tables:
        first, second = (len(thresholds[feature]) + 1 for feature in pair)
        tables[pair] = np.zeros((first, 1 if pair[0] == pair[1] else second, classes))
    return tables[pair]


def purify(tables: dict[Pair, Numbers], thresholds: Sequence[Sequence[float]], classes: int, rows: Numbers) -> Numbers:
    """Move means out of all tables, in place; return the overall mean, shape (classes,)."""
    bins = np.stack([to_bins(rows[:, feature], known) for feature, known in enumerate(thresholds)])
    for pair in [pair for pair in tables if pair[0] != pair[1]]:
        table = tables[pair]
        height, width, _ = table.shape
        weights = np.bincount(bins[pair[0]] * width + bins[pair[1]], minlength=height * width).reshape(height, width)
        by_first, by_second = (weights / np.maximum(weights.sum(axis=axis, keepdims=True), 1) for axis in (1, 0))
        first, second = np.zeros((height, classes)), np.zeros((width, classes))
        for _ in range(_ROUNDS):
            rest = table - first[:, None] - second[None]
            first += (step := np.einsum("ij,ijk->ik", by_first, rest))
            rest -= step[:, None]
            second += (other := np.einsum("ij,ijk->jk", by_second, rest))
            if max(np.abs(step).max(), np.abs(other).max()) < _CLOSE:
                break
        table -= first[:, None] + second[None]
        table_of(tables, (pair[0], pair[0]), thresholds, classes)[:, 0] += first
        table_of(tables, (pair[1], pair[1]), thresholds, classes)[:, 0] += second
    base = np.zeros(classes)
    for feature in [pair[0] for pair in tables if pair[0] == pair[1]]:
        table = tables[feature, feature]
        share = np.bincount(bins[feature], minlength=len(table)) / max(len(rows), 1)
        mean = share @ table[:, 0]
        table -= mean
        base += mean
    return base
