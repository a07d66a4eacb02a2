"""Contributions of features to a forest's scores, read from tables.

A fragment is a few neighbouring leaves of a tree. Their conditions do not distinguish all bins of a feature, only a few
sets of bins, and an answer is one such set for each feature. The Shapley values of the leaves depend on nothing else,
so a table has their sums for each answer, of which a fragment has at most MAX_ANSWERS. An order takes one row of each
table: its number is a sum of small numbers, one for each feature's bin. Leaves with too many features for a table are
computed for each order.
"""

from collections.abc import Sequence

import numpy as np

from ml_server.model.bins import Floats
from ml_server.model.groups import GroupRows, Groups
from ml_server.model.trees.bits import LeafBits
from ml_server.model.trees.layout import MAX_ANSWERS, Layout
from ml_server.model.trees.paths import Paths, shapley


class Fragments:
    """Tables of all fragments of a forest."""

    def __init__(self, paths: Paths, bits: LeafBits, groups: Groups) -> None:
        self.base: list[float] = paths.expected().tolist()
        self._groups, self._features, self._classes = groups, paths.features, paths.classes
        is_deep = 2 ** np.count_nonzero(paths.feature < paths.features, axis=0) > MAX_ANSWERS
        self._deep = paths.select(np.flatnonzero(is_deep))
        layout = Layout.of(paths, bits, groups.bins, np.flatnonzero(~is_deep))
        self._table = layout.table(paths, bits.bit)
        self._starts = np.cumsum(layout.answers) - layout.answers
        self._numbers = GroupRows(groups, layout.numbers, np.add)
        # Sums by class and feature, and one more feature for unused slots.
        class_of = np.zeros(len(layout.answers), dtype=np.intp)
        class_of[layout.fragment] = paths.class_of[layout.leaves]
        self._sums = (class_of[:, None] * (paths.features + 1) + layout.feature).ravel()

    def contributions(self, numbers: Sequence[int], slopes: Sequence[float]) -> Floats:
        """Return the contributions of features for the numbers of the groups, weighted by class slopes."""
        rows = self._table.take(self._numbers.of_one(numbers) + self._starts, axis=0)
        sums = np.bincount(self._sums, rows.ravel(), self._classes * (self._features + 1))
        result: Floats = np.asarray(slopes) @ sums.reshape(self._classes, -1)
        if len(self._deep.value):
            deep, bins = self._deep, np.array(self._groups.split(numbers))
            values = shapley(deep.passed(bins), deep.share) * (deep.value * np.asarray(slopes)[deep.class_of])
            result += np.bincount(deep.feature.ravel(), values.ravel(), self._features + 1)
        return result[:-1]
