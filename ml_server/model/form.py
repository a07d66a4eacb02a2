"""What every form of model has in common, as serving, training and explanations use it."""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from ml_server.model.bins import Floats, Places, Thresholds, bins_of_many
from ml_server.model.groups import Groups

_CHUNK = 4096  # rows scored at once; more would exceed the cache


class Form(ABC):
    """Class scores from features, for one order and for many. Methods for one row are not thread-safe.

    Scores and contributions are read by the numbers of `groups` of features, in which readers deliver an order.
    """

    def __init__(self, thresholds: Thresholds, classes: int) -> None:
        self.thresholds, self.classes = thresholds, classes
        self.features, self.groups = len(thresholds), Groups(thresholds)

    @property
    @abstractmethod
    def base(self) -> list[float]:
        """Scores of the average order, where contributions start."""

    @abstractmethod
    def scores_of_groups(self, numbers: Sequence[int]) -> list[float]:
        """Return class scores for one order."""

    @abstractmethod
    def scores_of_many_groups(self, numbers: Places) -> Floats:
        """Return class scores, shape (rows, classes), for numbers of shape (groups, rows)."""

    @abstractmethod
    def contributions_of_groups(self, numbers: Sequence[int], slopes: Sequence[float]) -> Floats:
        """Return the contributions of features for one order, weighted by class slopes: shape (features,)."""

    @abstractmethod
    def contributions_of_many_groups(self, numbers: Places, slopes: Floats) -> Floats:
        """Return contributions, shape (rows, features), for numbers (groups, rows) and slopes (rows, classes)."""

    def groups_of_row(self, row: Sequence[float]) -> list[int]:
        """Return the numbers of the groups for one row of features, NaN for unknown."""
        return self.groups.of_one(list(map(bisect_left, self.thresholds, row)))

    def scores(self, matrix: Floats) -> Floats:
        """Return class scores for rows of features, shape (rows, classes)."""
        result = np.empty((len(matrix), self.classes))
        for start in range(0, len(matrix), _CHUNK):
            bins = bins_of_many(self.thresholds, matrix[start : start + _CHUNK])
            result[start : start + _CHUNK] = self.scores_of_many_groups(self.groups.of_many(bins))
        return result

    def contributions(self, matrix: Floats, slopes: Floats) -> Floats:
        """Return contributions for rows of features: shape (rows, features); `slopes` has shape (rows, classes)."""
        return self.contributions_of_many_groups(self.groups.of_many(bins_of_many(self.thresholds, matrix)), slopes)
