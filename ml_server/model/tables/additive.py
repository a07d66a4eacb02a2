"""Scores from terms: for one order and for many, with the contribution of each feature."""

from collections.abc import Sequence

import numpy as np

from ml_server.model.bins import Floats, Places
from ml_server.model.form import Form
from ml_server.model.tables.lookup import lookup_by_groups, lookup_of
from ml_server.model.tables.terms import Terms

_FEW = 100  # up to this number, processing orders one by one is faster than table by table


class Additive(Form):
    """A model of terms."""

    def __init__(self, terms: Terms) -> None:
        terms = terms.on_grid()
        super().__init__(terms.thresholds, len(terms.base))
        self._base = terms.base
        self._terms, self._by_groups = lookup_of(terms), lookup_by_groups(terms, self.groups)
        self._first, self._second = terms.first, terms.second
        self._base_list: list[float] = terms.base.tolist()

    @property
    def base(self) -> list[float]:
        """See Form."""
        return self._base_list

    def scores_of_groups(self, numbers: Sequence[int]) -> list[float]:
        """See Form."""
        scores = self._by_groups.sum_for_one(np.array(numbers, dtype=np.intp))
        scores += self._base
        result: list[float] = scores.tolist()
        return result

    def scores_of_many_groups(self, numbers: Places) -> Floats:
        """See Form."""
        if numbers.shape[1] <= _FEW:
            return np.array([self._by_groups.rows_for(row).sum(axis=0) for row in numbers.T]) + self._base
        return self._by_groups.sums_of_many(numbers) + self._base

    def contributions_of_groups(self, numbers: Sequence[int], slopes: Sequence[float]) -> Floats:
        """See Form. A term of one feature belongs to it; a term of two is shared in halves, its Shapley value."""
        bins = np.array(self.groups.split(numbers), dtype=np.intp)
        return self._by_feature(self._terms.rows_for_one(bins) @ np.multiply(slopes, 0.5))

    def contributions_of_many_groups(self, numbers: Places, slopes: Floats) -> Floats:
        """See Form."""
        bins: Places = np.array(self.groups.split(numbers))
        halves = slopes * 0.5
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
