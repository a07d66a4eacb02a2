"""Scores from deeper trees: for one order and for many, with the contribution of each feature."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ml_server.model.bins import Floats, Places
from ml_server.model.form import Form
from ml_server.model.trees.bits import LeafBits
from ml_server.model.trees.fragments import Fragments
from ml_server.model.trees.nodes import Trees
from ml_server.model.trees.paths import Paths

_CHUNK = 64  # orders whose leaves are found at once; more would exceed the cache


class Forest(Form):
    """A model of trees: leaves are found by bits, contributions are read from tables."""

    def __init__(self, trees: Trees) -> None:
        trees = trees.on_grid()
        super().__init__(trees.thresholds, trees.classes)
        self._paths = Paths.of(trees)
        self._bits = LeafBits(self._paths, self.groups)

    @cached_property
    def _fragments(self) -> Fragments:
        """Computed only for explanations, since it takes longer than the rest: a scorer does it while it loads."""
        return Fragments(self._paths, self._bits, self.groups)

    @cached_property
    def base(self) -> list[float]:
        """See Form."""
        return self._fragments.base

    def scores_of_groups(self, numbers: Sequence[int]) -> list[float]:
        """See Form."""
        return self._bits.scores_of_one(numbers)

    def scores_of_many_groups(self, numbers: Places) -> Floats:
        """See Form."""
        chunks = range(0, max(numbers.shape[1], 1), _CHUNK)
        return np.concatenate([self._bits.scores_of_many(numbers[:, start : start + _CHUNK]) for start in chunks])

    def contributions_of_groups(self, numbers: Sequence[int], slopes: Sequence[float]) -> Floats:
        """See Form."""
        return self._fragments.contributions(numbers, slopes)

    def contributions_of_many_groups(self, numbers: Places, slopes: Floats) -> Floats:
        """See Form."""
        rows = zip(numbers.T.tolist(), slopes.tolist(), strict=True)
        return np.array([self.contributions_of_groups(*row) for row in rows])
