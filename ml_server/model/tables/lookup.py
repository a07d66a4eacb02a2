"""Reads many tables at once: the inner loop of scoring, in a few NumPy calls for any number of tables."""

import numpy as np

from ml_server.model.bins import Floats, Places
from ml_server.model.groups import Groups
from ml_server.model.tables.terms import Terms


class Lookup:
    """Tables over one or two sources each. The row of table t is bins[first[t]] * width[t] + bins[second[t]].

    A table over one source has it twice, and the width 0. Not thread-safe: `rows_for_one` reuses its scratch arrays,
    since allocating them would take longer than reading.
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
    """Return a lookup of the unchanged terms, whose sources are the features."""
    width = np.where(terms.first == terms.second, 0, terms.bins[terms.second])
    return Lookup(terms.first, terms.second, width, terms.offsets, terms.cells)


def lookup_by_groups(terms: Terms, groups: Groups) -> Lookup:
    """Return a lookup whose sources are groups of features: a table for two groups replaces those of their features.

    Fifty features with 1,200 terms become some forty groups with 600 tables: the same sums with half of the reads.
    """
    sizes, classes = groups.sizes, len(terms.base)
    digits, home = {}, {}
    for number, group in enumerate(groups.features):
        for index, feature in enumerate(group):
            stride = int(np.prod(terms.bins[group[index + 1 :]]))
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
            tables[pair] = np.zeros((sizes[pair[0]], width, classes))
        if first == second:
            tables[pair] += table[digits[first]][:, None]
        elif pair[0] == pair[1]:
            tables[pair] += table[digits[first], digits[second]][:, None]
        else:
            tables[pair] += table[digits[first][:, None], digits[second]]
    pairs = sorted(tables)
    cells = [tables[pair].reshape(-1, classes) for pair in pairs]
    return Lookup(
        np.array([first for first, _ in pairs], dtype=np.intp),
        np.array([second for _, second in pairs], dtype=np.intp),
        np.array([0 if first == second else sizes[second] for first, second in pairs], dtype=np.intp),
        np.cumsum([0, *(len(term) for term in cells[:-1])]).astype(np.intp),
        np.concatenate(cells),
    )
