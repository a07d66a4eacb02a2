"""Groups of features with few values: a group's number has a digit for each feature's bin, the first the highest.

One read by a group's number replaces those by the bins of all its features. Fifty features become some thirty groups.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_server.model.bins import Places, Thresholds

_MAX_NUMBERS = 64
"""Maximum of a group of several features: with more, rows would exceed the cache."""


class Groups:
    """Features in groups.

    Attributes: `bins`, how many each feature has; `features` of each group; `sizes`, how many numbers each group has.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self.bins = [len(known) + 1 for known in thresholds]
        self.features = _pack(self.bins)
        self.sizes = [int(np.prod([self.bins[feature] for feature in group])) for group in self.features]

    def of_one(self, bins: Sequence[int]) -> list[int]:
        """Return the numbers of the groups for the bins of the features."""
        numbers = []
        for group in self.features:
            number = 0
            for feature in group:
                number = number * self.bins[feature] + bins[feature]
            numbers.append(number)
        return numbers

    def split(self, numbers: Sequence[Any] | Places) -> list[Any]:
        """Return the bins of the features for the numbers of the groups, of one order or arrays of many."""
        bins: list[Any] = [0] * len(self.bins)
        for number, group in zip(numbers, self.features, strict=True):
            for feature in reversed(group):
                number, bins[feature] = divmod(number, self.bins[feature])
        return bins

    def of_many(self, bins: Places) -> Places:
        """Return `of_one` for many orders: shape (groups, orders) from (features, orders)."""
        numbers = np.zeros((len(self.features), bins.shape[1]), dtype=np.intp)
        for index, group in enumerate(self.features):
            for feature in group:
                numbers[index] = numbers[index] * self.bins[feature] + bins[feature]
        return numbers


class GroupRows:
    """A row of values for each number of each group. An order's result is the combination of one row of each group."""

    def __init__(self, groups: Groups, by_bin: NDArray[Any], combine: np.ufunc) -> None:
        """Combine rows of single bins: `by_bin` has the rows of all bins of all features, one feature after another."""
        starts = np.cumsum([0, *groups.bins])
        rows = []
        for group in groups.features:
            first, *others = (by_bin[starts[feature] : starts[feature + 1]] for feature in group)
            for other in others:
                first = combine(first[:, None], other).reshape(-1, by_bin.shape[1])
            rows.append(first)
        self._rows, self._combine = np.concatenate(rows), combine
        self._starts: Places = np.cumsum([0, *groups.sizes[:-1]])

    def of_one(self, numbers: Sequence[int]) -> NDArray[Any]:
        """Return the combination for the numbers of the groups, shape (width,)."""
        rows = self._rows.take(self._starts + numbers, axis=0)
        result: NDArray[Any] = self._combine.reduce(rows, axis=0, dtype=rows.dtype)  # not a wider type for sums
        return result

    def of_many(self, numbers: Places) -> NDArray[Any]:
        """Return `of_one` for many orders: shape (orders, width) from (groups, orders)."""
        places = numbers + self._starts[:, None]
        result: NDArray[Any] = self._rows.take(places[0], axis=0)
        for own in places[1:]:
            self._combine(result, self._rows.take(own, axis=0), out=result)
        return result


def _pack(bins: Sequence[int]) -> list[list[int]]:
    """Put each feature, the largest first, into the first group with space. Groups of several features come first."""
    groups: list[list[int]] = []
    sizes: list[int] = []
    for feature in sorted(range(len(bins)), key=lambda feature: -bins[feature]):
        for number, size in enumerate(sizes):
            if size * bins[feature] <= _MAX_NUMBERS:
                groups[number].append(feature)
                sizes[number] *= bins[feature]
                break
        else:
            groups.append([feature])
            sizes.append(bins[feature])
    return sorted(groups, key=lambda group: len(group) == 1)
