"""Interface of every form of model: what serving, training and explanations use."""

from collections.abc import Sequence
from typing import Protocol

from ml_server.model.bins import Floats, Places, Thresholds


class Form(Protocol):
    """Class scores from features, for one order and for many. Methods for one row are not thread-safe."""

    features: int
    classes: int
    thresholds: Thresholds
    groups: Sequence[Sequence[int]]
    """Groups of features whose bins are combined into one number, with a digit for each, the first feature the highest.
    """

    @property
    def base(self) -> list[float]:
        """Scores of the average order, where contributions start."""

    def bins_of_one(self, row: Sequence[float]) -> list[int]:
        """Return the bin of each feature of one row, NaN for unknown."""

    def scores_of_one(self, row: Sequence[float]) -> list[float]:
        """Return class scores for one row of features, NaN for unknown."""

    def scores_of_bins(self, bins: list[int]) -> list[float]:
        """Return class scores for one row's bins."""

    def group_bins(self, bins: Sequence[int]) -> list[int]:
        """Return the numbers of the groups for the bins of the features."""

    def ungroup_bins(self, groups: Sequence[int]) -> list[int]:
        """Return the bins of the features for the numbers of the groups."""

    def scores_of_groups(self, groups: Sequence[int]) -> list[float]:
        """Return `scores_of_bins` for the numbers of the groups."""

    def scores_of_many_groups(self, groups: Places) -> Floats:
        """Return class scores, shape (rows, classes), for the numbers of the groups, shape (groups, rows)."""

    def contributions_of_bins(self, bins: Sequence[int], slopes: Sequence[float]) -> Floats:
        """Return the contributions of features for one row's bins, weighted by class slopes: shape (features,)."""

    def scores(self, matrix: Floats) -> Floats:
        """Return class scores for rows of features, shape (rows, classes)."""

    def contributions(self, matrix: Floats, slopes: Floats) -> Floats:
        """Return `contributions_of_bins` for rows: shape (rows, features); `slopes` has shape (rows, classes)."""

    def contributions_of_many_bins(self, bins: Places, slopes: Floats) -> Floats:
        """Return `contributions` for bins of shape (features, rows)."""
