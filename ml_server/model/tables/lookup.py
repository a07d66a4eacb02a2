"""Reads many tables at once: the inner loop of scoring, in a few NumPy calls for any number of tables."""

from collections.abc import Sequence

import numpy as np

from ml_server.model.bins import Floats, Places
from ml_server.model.tables.terms import Terms


class Lookup:
    """Tables over one or two sources each. The row of table t is bins[first[t]] * width[t] + bins[second[t]].

    Not thread-safe: `rows_for_one` reuses its scratch arrays, since allocating them would take longer than reading.
    """

    def __init__(self, first: Places, second: Places, width: Places, offsets: Places, cells: Floats) -> None:
        self._first, self._second, self._width, self._offsets = first, second, width, offsets
        self._cells = cells
        self._places, self._others = np.empty_like(first), np.empty_like(first)
        self._rows = np.empty((len(first), cells.shape[1]))
        self._ones = np.ones(len(first))

    def rows_for_one(self, bins: Places) -> Floats:
        """Return the row of each table for one order, shape (tables, classes); overwritten by the next call."""
        indices, others = self._places, self._others
        # mode="clip" avoids a copy that handles errors; bins are always in range.
        bins.take(self._first, out=indices, mode="clip")
        bins.take(self._second, out=others, mode="clip")
        np.multiply(indices, self._width, out=indices)
        np.add(indices, others, out=indices)
        np.add(indices, self._offsets, out=indices)
        self._cells.take(indices, axis=0, out=self._rows, mode="clip")
        return self._rows

    def rows_for(self, bins: Places) -> Floats:
        """Return `rows_for_one` in a new array; thread-safe."""
        rows: Floats = self._cells[bins[self._first] * self._width + bins[self._second] + self._offsets]
        return rows

    def sum_for_one(self, bins: Places) -> Floats:
        """Return the sum of those rows, shape (classes,)."""
        summed: Floats = self._ones @ self.rows_for_one(bins)
        return summed

    def rows_of(self, table: int, bins: Places) -> Floats:
        """Return the rows of one table for many orders, shape (orders, classes); `bins` has shape (sources, orders)."""
        indices = bins[self._first[table]] * self._width[table]
        indices += bins[self._second[table]]
        indices += self._offsets[table]
        rows: Floats = self._cells.take(indices, axis=0)
        return rows

    def sums_of_many(self, bins: Places) -> Floats:
        """Return the sums of the rows of all tables, shape (orders, classes): by table, which keeps it in the cache."""
        total = np.zeros((bins.shape[1], self._cells.shape[1]))
        for table in range(len(self._first)):
            total += self.rows_of(table, bins)
        return total


def lookup_of(terms: Terms) -> Lookup:
    """Return a lookup of the unchanged terms. The sources are the features, followed by one that is always in bin 0."""
    alone = terms.first == terms.second
    second = np.where(alone, len(terms.thresholds), terms.second)
    return Lookup(terms.first, second, np.where(alone, 1, terms.bins[terms.second]), terms.offsets, terms.cells)


class Blocks:
    """Groups of features with few values: one table for two blocks replaces those of all their features.

    A block's bin is a number whose digits are its features' bins. Fifty features with 1,200 terms become some forty
    blocks with 600 tables: the same sums with half of the reads.
    """

    def __init__(self, terms: Terms, max_bins: int = 64) -> None:
        blocks = _pack(terms.bins, max_bins)
        self.features: list[list[int]] = [*blocks, []]  # the last block is empty
        sizes = [int(np.prod(terms.bins[block])) for block in blocks]
        digits, home = {}, {}
        for number, block in enumerate(blocks):
            for index, feature in enumerate(block):
                stride = int(np.prod(terms.bins[block[index + 1 :]]))
                digits[feature] = np.arange(sizes[number]) // stride % terms.bins[feature]
                home[feature] = number
        tables: dict[tuple[int, int], Floats] = {}
        for term, (first, second) in enumerate(zip(terms.first.tolist(), terms.second.tolist(), strict=True)):
            table = terms.table(term)
            if home[second] < home[first]:
                first, second, table = second, first, table.swapaxes(0, 1)
            pair = home[first], home[second]
            if pair not in tables:
                width = 1 if pair[0] == pair[1] else sizes[pair[1]]
                tables[pair] = np.zeros((sizes[pair[0]], width, len(terms.base)))
            if first == second:
                tables[pair] += table[digits[first]][:, None]
            elif pair[0] == pair[1]:
                tables[pair] += table[digits[first], digits[second]][:, None]
            else:
                tables[pair] += table[digits[first][:, None], digits[second]]
        # The empty block, always in bin 0, is the second source of tables over a single block.
        pairs = sorted(tables)
        cells = [tables[pair].reshape(-1, len(terms.base)) for pair in pairs]
        self.lookup = Lookup(
            np.array([first for first, _ in pairs], dtype=np.intp),
            np.array([len(blocks) if first == second else second for first, second in pairs], dtype=np.intp),
            np.array([1 if first == second else sizes[second] for first, second in pairs], dtype=np.intp),
            np.cumsum([0, *(len(term) for term in cells[:-1])]).astype(np.intp),
            np.concatenate(cells),
        )
        self._widths = terms.bins.tolist()
        self._together = [block for block in blocks if len(block) > 1]
        self._alone = [block[0] for block in blocks if len(block) == 1]
        # For one order: a step for the first two features of each block, and one for each further feature.
        self._steps = [(block[0], self._widths[block[1]], block[1]) for block in self._together]
        self._more = [
            (index, self._widths[feature], feature)
            for index, block in enumerate(self._together)
            for feature in block[2:]
        ]

    def of_one(self, bins: Sequence[int]) -> list[int]:
        """Return the bins of the blocks for those of the features."""
        joint = [bins[first] * width + bins[second] for first, width, second in self._steps]
        for index, width, feature in self._more:
            joint[index] = joint[index] * width + bins[feature]
        return [*joint, *[bins[feature] for feature in self._alone], 0]

    def split(self, joint: Sequence[int]) -> list[int]:
        """Return the bins of the features for those of the blocks, the inverse of `of_one`."""
        bins = [0] * len(self._widths)
        for number, block in zip(joint, self.features, strict=True):
            for feature in reversed(block):
                number, bins[feature] = divmod(number, self._widths[feature])
        return bins

    def of_many(self, bins: Places) -> Places:
        """Return `of_one` for many orders: shape (blocks + 1, orders) from (features, orders)."""
        joint = np.zeros((len(self._together) + len(self._alone) + 1, bins.shape[1]), dtype=np.intp)
        for index, block in enumerate([*self._together, *([feature] for feature in self._alone)]):
            for feature in block:
                joint[index] = joint[index] * self._widths[feature] + bins[feature]
        return joint


def _pack(bins: Places, max_bins: int) -> list[list[int]]:
    """Group features into blocks of at most `max_bins` joint bins: the largest first, each into the first block with
    space.

    Blocks of several features come before those of one.
    """
    blocks: list[list[int]] = []
    for feature in np.argsort(-bins, kind="stable").tolist():
        fits = (block for block in blocks if int(np.prod(bins[block])) * int(bins[feature]) <= max_bins)
        block = next(fits, None)
        if block is None:
            blocks.append([feature])
        else:
            block.append(feature)
    return sorted(blocks, key=lambda block: len(block) == 1)
