"""Scores from terms: for one order and for many, with the contribution of each feature."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from ml_server.model.bins import Floats, Places, bins_of_many
from ml_server.model.tables.lookup import Blocks, lookup_of
from ml_server.model.tables.terms import Terms

_CHUNK = 4096  # orders looked up at once; more would exceed the cache
_FEW = 100  # up to this number, processing orders one by one is faster than table by table


class Additive:
    """A model of terms. Methods for one row are not thread-safe."""

    def __init__(self, terms: Terms) -> None:
        terms = terms.on_grid()
        self.features, self.classes = len(terms.thresholds), len(terms.base)
        self.thresholds, self._base = terms.thresholds, terms.base
        self._terms, self._blocks = lookup_of(terms), Blocks(terms)
        self._first, self._second = terms.first, terms.second
        self.base: list[float] = terms.base.tolist()
        self.groups: Sequence[Sequence[int]] = self._blocks.features

    def bins_of_one(self, row: Sequence[float]) -> list[int]:
        """Return the bin of each feature of one row, NaN for unknown."""
        return list(map(bisect_left, self.thresholds, row))

    def scores_of_one(self, row: Sequence[float]) -> list[float]:
        """Return class scores for one row of features, NaN for unknown."""
        return self.scores_of_bins(self.bins_of_one(row))

    def scores_of_bins(self, bins: list[int]) -> list[float]:
        """Return class scores for one row's bins."""
        return self.scores_of_groups(self.group_bins(bins))

    def group_bins(self, bins: Sequence[int]) -> list[int]:
        """Return the numbers of the blocks for the bins of the features."""
        return self._blocks.of_one(bins)

    def ungroup_bins(self, groups: Sequence[int]) -> list[int]:
        """Return the bins of the features for the numbers of the blocks."""
        return self._blocks.split(groups)

    def scores_of_groups(self, groups: Sequence[int]) -> list[float]:
        """Return `scores_of_bins` for the numbers of the blocks."""
        scores = self._blocks.lookup.sum_for_one(np.array(groups, dtype=np.intp))
        scores += self._base
        result: list[float] = scores.tolist()
        return result

    def contributions_of_bins(self, bins: Sequence[int], slopes: Sequence[float]) -> Floats:
        """Return each feature's contribution to the scores for one row's bins, weighted by class slopes: shape
        (features,).

        A term of one feature belongs to that feature; a term of two is shared in halves, which is its Shapley value.
        """
        halves = self._terms.rows_for_one(np.array([*bins, 0])) @ np.multiply(slopes, 0.5)
        return self._by_feature(halves)

    def scores(self, matrix: Floats) -> Floats:
        """Return class scores for rows of features, shape (rows, classes)."""
        result = np.empty((len(matrix), self.classes))
        for start in range(0, len(matrix), _CHUNK):
            groups = self._blocks.of_many(bins_of_many(self.thresholds, matrix[start : start + _CHUNK]))
            result[start : start + _CHUNK] = self.scores_of_many_groups(groups)
        return result

    def scores_of_many_groups(self, groups: Places) -> Floats:
        """Return class scores, shape (rows, classes), for the numbers of the blocks, shape (blocks, rows)."""
        lookup = self._blocks.lookup
        if groups.shape[1] <= _FEW:
            return np.array([lookup.rows_for(row).sum(axis=0) for row in groups.T]) + self._base
        return lookup.sums_of_many(groups) + self._base

    def contributions(self, matrix: Floats, slopes: Floats) -> Floats:
        """Return `contributions_of_bins` for rows: shape (rows, features); `slopes` has shape (rows, classes)."""
        return self.contributions_of_many_bins(bins_of_many(self.thresholds, matrix), slopes)

    def contributions_of_many_bins(self, bins: Places, slopes: Floats) -> Floats:
        """Return `contributions` for bins of shape (features, rows)."""
        bins, halves = np.concatenate([bins, np.zeros((1, bins.shape[1]), dtype=np.intp)]), slopes * 0.5
        if len(halves) <= _FEW:
            return np.array(
                [self._by_feature(self._terms.rows_for(row) @ own) for row, own in zip(bins.T, halves, strict=True)]
            )
        result = np.zeros((self.features, len(halves)))
        for term, (first, second) in enumerate(zip(self._first.tolist(), self._second.tolist(), strict=True)):
            shares = np.einsum("rk,rk->r", self._terms.rows_of(term, bins), halves)
            result[first] += shares
            result[second] += shares
        return result.T

    def _by_feature(self, halves: Floats) -> Floats:
        summed: Floats = np.bincount(self._first, halves, self.features).astype(np.float64)
        summed += np.bincount(self._second, halves, self.features)
        return summed
