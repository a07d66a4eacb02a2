"""Finds the leaf that an order reaches in every tree, without traversing them.

A word has a bit for each leaf of a tree. Every bin of every feature has a row of words: the leaves that an order in
this bin can reach. The rows of all features together, by a bitwise AND, leave the one leaf that the order reaches
(Lucchese and others, QuickScorer: A Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees, 2015,
with one row for a bin instead of a list of splits). The rows of features in a group are combined beforehand.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml_server.model.bins import Floats, Places
from ml_server.model.groups import GroupRows, Groups
from ml_server.model.trees.paths import Paths

Words = NDArray[np.unsignedinteger]
_MAX_BITS = 64


class LeafBits:
    """The leaves of all trees as bits of words. A tree with more than 64 leaves has several words, all but one empty."""

    def __init__(self, paths: Paths, groups: Groups) -> None:
        self.by_bin, self.word, self.bit = _reachable(paths, groups.bins)
        self._rows = GroupRows(groups, self.by_bin, np.bitwise_and)
        self._width = self.by_bin.dtype.itemsize * 8 + 1  # an empty word has the number after the last bit
        self._values = np.zeros(self.by_bin.shape[1] * self._width)
        self._values[self.word * self._width + self.bit] = paths.value
        self._starts = np.arange(self.by_bin.shape[1]) * self._width
        self._classes, self._class_of = paths.classes, np.zeros(self.by_bin.shape[1], dtype=np.intp)
        self._class_of[self.word] = paths.class_of

    def scores_of_one(self, numbers: Sequence[int]) -> list[float]:
        """Return class scores for the numbers of the groups."""
        values = self._values_of(self._rows.of_one(numbers))
        scores: list[float] = np.bincount(self._class_of, values, self._classes).tolist()
        return scores

    def scores_of_many(self, numbers: Places) -> Floats:
        """Return class scores, shape (orders, classes), for numbers of shape (groups, orders)."""
        values = self._values_of(self._rows.of_many(numbers))
        # In any sequence: sums of multiples of GRID are exact.
        return values @ np.eye(self._classes)[self._class_of]

    def _values_of(self, words: Words) -> Floats:
        """Return the value of the only leaf of each word, 0 for none."""
        # One bit is set, so 1 less has as many bits as are below it.
        return self._values.take(np.bitwise_count(words - 1) + self._starts)


def _reachable(paths: Paths, bins: Sequence[int]) -> tuple[Words, Places, Places]:
    """Return a row of words for each bin of all features, and the word and the bit of each leaf."""
    leaves = np.bincount(paths.tree)
    place = np.arange(len(paths.tree)) - (np.cumsum(leaves) - leaves)[paths.tree]
    words = -(-leaves // _MAX_BITS)
    word, bit = (np.cumsum(words) - words)[paths.tree] + place // _MAX_BITS, place % _MAX_BITS
    dtype = next(of for of in (np.uint8, np.uint16, np.uint32, np.uint64) if bit.max() < np.dtype(of).itemsize * 8)
    whole = np.zeros(int(words.sum()), dtype=dtype)
    np.bitwise_or.at(whole, word, np.left_shift(dtype(1), bit.astype(dtype)))
    # Rows of bins that do not reach a leaf: unknown, those up to `low`, and those above `high`, which is below `low` if
    # only unknown reaches it. Add the leaf's bit where they begin, and subtract it after they end: integers that wrap
    # are exact in the end.
    starts = np.cumsum([0, *bins])
    steps = np.zeros((int(starts[-1]) + 1, len(whole)), dtype=dtype)
    slot, leaf = np.nonzero(paths.feature < paths.features)
    low, high, unknown = (limit[slot, leaf] for limit in (paths.low, paths.high, paths.unknown))
    start, end = (starts[paths.feature[slot, leaf] + more] for more in (0, 1))
    column, own = word[leaf], np.left_shift(dtype(1), bit[leaf].astype(dtype))
    for first, last in (
        (start, start + ~unknown),
        (start + 1, start + 1 + low),
        (start + 1 + np.maximum(low, high), end),
    ):
        np.add.at(steps, (first, column), own)
        np.subtract.at(steps, (last, column), own)
    lost = np.cumsum(steps[:-1], axis=0, dtype=dtype)
    return np.bitwise_and(whole, np.invert(lost)), word, bit
