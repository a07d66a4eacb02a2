"""Scores from terms: for one order, for many, and what each feature contributed."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from ml_server.lookup import Blocks, of_terms
from ml_server.terms import Floats, Places, Terms, binned

_CHUNK = 4096  # orders looked up at once: more would leave the cache


class Additive:
    """A model of terms. `one` and `one_earned` are not for two threads at once; the others may run beside them."""

    def __init__(self, terms: Terms) -> None:
        self.features, self.classes = len(terms.thresholds), len(terms.base)
        self._thresholds, self._base = terms.thresholds, terms.base
        self._terms, self._blocks = of_terms(terms), Blocks(terms)
        self._first, self._second = terms.first, terms.second
        self.base: list[float] = terms.base.tolist()

    def one(self, row: Sequence[float]) -> list[float]:
        """Scores of the classes for one row of features, NaN for unknown."""
        scores = self._blocks.lookup.sum_of_one(self._blocks.of_one(self._bins(row)))
        scores += self._base
        result: list[float] = scores.tolist()
        return result

    def one_earned(self, row: Sequence[float], slopes: Sequence[float]) -> Floats:
        """What each feature adds to the scores of the classes, weighted by their slopes: shape (features,).

        A term of one feature is that feature's; a term of two is shared in halves, which is Shapley's value.
        """
        halves = self._terms.one(np.array([*self._bins(row), 0])) @ np.multiply(slopes, 0.5)
        return self._by_feature(halves)

    def many(self, matrix: Floats) -> Floats:
        """Scores of the classes for rows of features, shape (rows, classes)."""
        result = np.empty((len(matrix), self.classes))
        for start in range(0, len(matrix), _CHUNK):
            bins = self._blocks.of_many(self._bins_of_many(matrix[start : start + _CHUNK]))
            result[start : start + _CHUNK] = self._blocks.lookup.sums_of_many(bins)
        return result + self._base

    def many_earned(self, matrix: Floats, slopes: Floats) -> Floats:
        """As `one_earned` for rows: shape (rows, features); `slopes` has shape (rows, classes)."""
        bins, halves = self._bins_of_many(matrix), slopes * 0.5
        result = np.zeros((self.features, len(matrix)))
        for term, (first, second) in enumerate(zip(self._first.tolist(), self._second.tolist(), strict=True)):
            earned = np.einsum("rk,rk->r", self._terms.rows_of(term, bins), halves)
            result[first] += earned
            result[second] += earned
        return result.T

    def _by_feature(self, halves: Floats) -> Floats:
        found: Floats = np.bincount(self._first, halves, self.features).astype(np.float64)
        found += np.bincount(self._second, halves, self.features)
        return found

    def _bins(self, row: Sequence[float]) -> list[int]:
        return list(map(bisect_left, self._thresholds, row))

    def _bins_of_many(self, matrix: Floats) -> Places:
        """Shape (features + 1, rows); the last source is always in bin 0."""
        if matrix.shape[1] != self.features:
            raise ValueError(f"the model reads {self.features} features, not {matrix.shape[1]}")
        bins = np.zeros((self.features + 1, len(matrix)), dtype=np.intp)
        for place, thresholds in enumerate(self._thresholds):
            bins[place] = binned(matrix[:, place], thresholds)
        return bins
