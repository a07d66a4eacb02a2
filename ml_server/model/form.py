"""What every form of model can do: the seam between the mathematics and those who serve, train and explain."""

from collections.abc import Sequence
from typing import Protocol

from ml_server.model.bins import Floats


class Form(Protocol):
    """Scores of the classes from features, for one order and for many. What is of one row is for one thread at a time."""

    features: int
    classes: int
    base: list[float]
    """Scores of the average order: where contributions start."""

    def bins_of_one(self, row: Sequence[float]) -> list[int]:
        """The bin of each feature of one row, NaN for unknown."""

    def scores_of_one(self, row: Sequence[float]) -> list[float]:
        """Scores of the classes for one row of features, NaN for unknown."""

    def scores_of_bins(self, bins: list[int]) -> list[float]:
        """Scores of the classes for one row's bins."""

    def contributions_of_bins(self, bins: Sequence[int], slopes: Sequence[float]) -> Floats:
        """For one row's bins what each feature adds to the scores, weighted by the slopes of the classes: shape (features,)."""

    def scores(self, matrix: Floats) -> Floats:
        """Scores of the classes for rows of features, shape (rows, classes)."""

    def contributions(self, matrix: Floats, slopes: Floats) -> Floats:
        """As `contributions_of_bins` for rows: shape (rows, features); `slopes` has shape (rows, classes)."""
