"""Scores from deeper trees: for one order, for many, and what each feature contributed."""

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
    """A model of trees: all are walked at once, a level at a time."""

    def __init__(self, trees: Trees) -> None:
        trees = trees.on_grid()
        self.features, self.classes = len(trees.thresholds), trees.classes
        self.thresholds, self._trees = trees.thresholds, trees
        self.groups: Sequence[Sequence[int]] = [[feature] for feature in range(self.features)]
        # Bins are read twice over: as they are, and with unknown beyond all cuts, for nodes where unknown goes right.
        self._source = np.where(trees.unknown_left, trees.feature, trees.feature + self.features)
        self._source[trees.feature == LEAF] = 0
        self._children = np.stack([trees.left, trees.right], axis=1).ravel()
        self._levels, waiting = 0, trees.roots
        while len(waiting := waiting[trees.feature[waiting] != LEAF]):
            self._levels += 1
            waiting = np.unique([trees.left[waiting], trees.right[waiting]])

    @cached_property
    def _paths(self) -> Paths:
        """Who only scores needs none: they take longer to find than the trees to read."""
        return Paths.of(self._trees)

    @cached_property
    def base(self) -> list[float]:
        """Scores of the average order: where contributions start."""
        expected: list[float] = self._paths.expected().tolist()
        return expected

    def bins_of_one(self, row: Sequence[float]) -> list[int]:
        """The bin of each feature of one row, NaN for unknown."""
        return list(map(bisect_left, self.thresholds, row))

    def scores_of_one(self, row: Sequence[float]) -> list[float]:
        """Scores of the classes for one row of features, NaN for unknown."""
        return self.scores_of_bins(self.bins_of_one(row))

    def scores_of_bins(self, bins: Sequence[int]) -> list[float]:
        """Scores of the classes for one row's bins."""
        known = np.array(bins, dtype=np.intp)
        sources = np.concatenate([known, np.where(known == 0, _BEYOND, known)])
        nodes = self._trees.roots
        for _ in range(self._levels):
            nodes = self._children[2 * nodes + (sources[self._source[nodes]] > self._trees.cut[nodes])]
        scores: list[float] = np.bincount(self._trees.class_of, self._trees.value[nodes], self.classes).tolist()
        return scores

    def scores(self, matrix: Floats) -> Floats:
        """Scores of the classes for rows of features, shape (rows, classes)."""
        result = np.zeros((len(matrix), self.classes))
        for start in range(0, len(matrix), _CHUNK):
            bins = bins_of_many(self.thresholds, matrix[start : start + _CHUNK])
            result[start : start + _CHUNK] = self.scores_of_many_groups(bins)
        return result

    def grouped(self, bins: Sequence[int]) -> list[int]:
        """Each feature is a group of its own."""
        return list(bins)

    def ungrouped(self, groups: Sequence[int]) -> list[int]:
        """See `grouped`."""
        return list(groups)

    def scores_of_groups(self, groups: Sequence[int]) -> list[float]:
        """As `scores_of_bins`, which groups are here."""
        return self.scores_of_bins(groups)

    def scores_of_many_groups(self, groups: Places) -> Floats:
        """Scores of the classes, shape (rows, classes), for bins of shape (features, rows)."""
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
        """For one row's bins what each feature adds to the scores, weighted by the slopes of the classes: shape (features,)."""
        return self._paths.shapley(bins, slopes)

    def contributions(self, matrix: Floats, slopes: Floats) -> Floats:
        """As `contributions_of_bins` for rows: shape (rows, features); `slopes` has shape (rows, classes)."""
        return self.contributions_of_many_bins(bins_of_many(self.thresholds, matrix), slopes)

    def contributions_of_many_bins(self, bins: Places, slopes: Floats) -> Floats:
        """As `contributions`, for bins of shape (features, rows)."""
        rows = zip(bins.T.tolist(), slopes.tolist(), strict=True)
        return np.array([self.contributions_of_bins(*row) for row in rows])
