"""What every form of model can do: the seam between the mathematics and those who serve, train and explain."""

from collections.abc import Sequence
from typing import Protocol

from ml_server.model.bins import Floats, Places, Thresholds


class Form(Protocol):
    """Scores of the classes from features, for one order and for many. What is of one row is for one thread at a time."""

    features: int
    classes: int
    thresholds: Thresholds
    groups: Sequence[Sequence[int]]
    """Features whose bins are read as one number, of which each is a digit, the first feature the highest."""

    @property
    def base(self) -> list[float]:
        """Scores of the average order: where contributions start."""

    def bins_of_one(self, row: Sequence[float]) -> list[int]:
        """The bin of each feature of one row, NaN for unknown."""

    def scores_of_one(self, row: Sequence[float]) -> list[float]:
        """Scores of the classes for one row of features, NaN for unknown."""

    def scores_of_bins(self, bins: list[int]) -> list[float]:
        """Scores of the classes for one row's bins."""

    def grouped(self, bins: Sequence[int]) -> list[int]:
        """The numbers of the groups from the bins of the features."""

    def ungrouped(self, groups: Sequence[int]) -> list[int]:
        """The bins of the features from the numbers of the groups."""

    def scores_of_groups(self, groups: Sequence[int]) -> list[float]:
        """As `scores_of_bins`, for the numbers of the groups."""

    def scores_of_many_groups(self, groups: Places) -> Floats:
        """Scores of the classes, shape (rows, classes), for the numbers of the groups, shape (groups, rows)."""

    def contributions_of_bins(self, bins: Sequence[int], slopes: Sequence[float]) -> Floats:
        """For one row's bins what each feature adds to the scores, weighted by the slopes of the classes: shape (features,)."""

    def scores(self, matrix: Floats) -> Floats:
        """Scores of the classes for rows of features, shape (rows, classes)."""

    def contributions(self, matrix: Floats, slopes: Floats) -> Floats:
        """As `contributions_of_bins` for rows: shape (rows, features); `slopes` has shape (rows, classes)."""

    def contributions_of_many_bins(self, bins: Places, slopes: Floats) -> Floats:
        """As `contributions`, for bins of shape (features, rows)."""
