"""Scores from deeper trees: for one order and for many, with the contribution of each feature."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ml_server.model.bins import Floats, Places, bins_of_many
from ml_server.model.trees.nodes import LEAF, Trees
from ml_server.model.trees.paths import Paths

_CHUNK = 4096
_BEYOND = np.iinfo(np.intp).max


class Forest:
    """A model of trees, all traversed at once, level by level."""

    def __init__(self, trees: Trees) -> None:
        trees = trees.on_grid()
        self.features, self.classes = len(trees.thresholds), trees.classes
        self.thresholds, self._trees = trees.thresholds, trees
        self.groups: Sequence[Sequence[int]] = [[feature] for feature in range(self.features)]
        # Bins are stored twice: unchanged, and with unknown above all cuts, for nodes where unknown goes right.
        self._source = np.where(trees.unknown_left, trees.feature, trees.feature + self.features)
        self._source[trees.feature == LEAF] = 0
        self._children = np.stack([trees.left, trees.right], axis=1).ravel()
        self._levels, waiting = 0, trees.roots
        while len(waiting := waiting[trees.feature[waiting] != LEAF]):
            self._levels += 1
            waiting = np.unique([trees.left[waiting], trees.right[waiting]])

    @cached_property
    def _paths(self) -> Paths:
        """Computed only for explanations, since it takes longer than loading the trees."""
        return Paths.of(self._trees)

    @cached_property
    def base(self) -> list[float]:
        """Scores of the average order, where contributions start."""
        expected: list[float] = self._paths.expected().tolist()
        return expected

    def bins_of_one(self, row: Sequence[float]) -> list[int]:
        """Return the bin of each feature of one row, NaN for unknown."""
        return list(map(bisect_left, self.thresholds, row))

    def scores_of_one(self, row: Sequence[float]) -> list[float]:
        """Return class scores for one row of features, NaN for unknown."""
        return self.scores_of_bins(self.bins_of_one(row))

    def scores_of_bins(self, bins: Sequence[int]) -> list[float]:
        """Return class scores for one row's bins."""
        known = np.array(bins, dtype=np.intp)
        sources = np.concatenate([known, np.where(known == 0, _BEYOND, known)])
        nodes = self._trees.roots
        for _ in range(self._levels):
            nodes = self._children[2 * nodes + (sources[self._source[nodes]] > self._trees.cut[nodes])]
        scores: list[float] = np.bincount(self._trees.class_of, self._trees.value[nodes], self.classes).tolist()
        return scores

    def scores(self, matrix: Floats) -> Floats:
        """Return class scores for rows of features, shape (rows, classes)."""
        result = np.zeros((len(matrix), self.classes))
        for start in range(0, len(matrix), _CHUNK):
            bins = bins_of_many(self.thresholds, matrix[start : start + _CHUNK])
            result[start : start + _CHUNK] = self.scores_of_many_groups(bins)
        return result

    def group_bins(self, bins: Sequence[int]) -> list[int]:
        """Return the bins: each feature is its own group."""
        return list(bins)

    def ungroup_bins(self, groups: Sequence[int]) -> list[int]:
        """See `group_bins`."""
        return list(groups)

    def scores_of_groups(self, groups: Sequence[int]) -> list[float]:
        """Return `scores_of_bins`: groups are bins here."""
        return self.scores_of_bins(groups)

    def scores_of_many_groups(self, groups: Places) -> Floats:
        """Return class scores, shape (rows, classes), for bins of shape (features, rows)."""
        sources = np.concatenate([groups, np.where(groups == 0, _BEYOND, groups)])
        rows = np.arange(groups.shape[1])
        result = np.zeros((len(rows), self.classes))
        for root, of_class in zip(self._trees.roots.tolist(), self._trees.class_of.tolist(), strict=True):
            nodes = np.full(len(rows), root)
            for _ in range(self._levels):
                goes_right = sources[self._source[nodes], rows] > self._trees.cut[nodes]
                nodes = self._children[2 * nodes + goes_right]
            result[:, of_class] += self._trees.value[nodes]
        return result

    def contributions_of_bins(self, bins: Sequence[int], slopes: Sequence[float]) -> Floats:
        """Return the contributions of features for one row's bins, weighted by class slopes: shape (features,)."""
        return self._paths.shapley(bins, slopes)

    def contributions(self, matrix: Floats, slopes: Floats) -> Floats:
        """Return `contributions_of_bins` for rows: shape (rows, features); `slopes` has shape (rows, classes)."""
        return self.contributions_of_many_bins(bins_of_many(self.thresholds, matrix), slopes)

    def contributions_of_many_bins(self, bins: Places, slopes: Floats) -> Floats:
        """Return `contributions` for bins of shape (features, rows)."""
        rows = zip(bins.T.tolist(), slopes.tolist(), strict=True)
        return np.array([self.contributions_of_bins(*row) for row in rows])
