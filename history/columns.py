"""The definitions over the columns of a table whose rows are sorted by time. All rows are computed at once.

Rows of one key are adjacent, sorted by time. The window of a row is then a run of rows that ends with it, and its
beginning only moves forward. Counts are differences of running sums. For different values, each row counts from itself
to the next row with the same value, for as long as the window still reaches back to it: one step up, one step down, and
a running sum.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from history.definitions import (
    AMOUNT_UNITS,
    BY_KEY,
    COUNTED,
    DAY,
    LATEST,
    MAX_AMOUNT,
    MAX_DAYS,
    Definition,
    Key,
    Kind,
)

Ints = npt.NDArray[np.signedinteger[Any]]
"""Times and sums have 64 bits, indexes and codes 32: a table of ten million rows has dozens of such columns."""
Column = npt.NDArray[Any]
Features = dict[str, tuple[Column, npt.NDArray[np.bool_]]]
"""By field: its values, and where its key and its other field are present."""


def codes(column: pa.ChunkedArray | pa.Array) -> Ints:
    """Return a number for each text, -1 if it is absent or empty. Equal texts have equal numbers."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    whole = whole.cast(pa.string())
    encoded = pc.if_else(pc.equal(whole, ""), None, whole).dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1), np.int64)


class Columns:
    """The history of every row, given its columns: `at` in whole seconds, ascending; `counts` for whether it is an
    order.
    """

    def __init__(
        self, at: Ints, texts: Mapping[str, Ints], amounts: npt.NDArray[np.float64] | None = None,
        counts: npt.NDArray[np.bool_] | None = None,
    ) -> None:  # fmt: skip
        """`amounts` are NaN where unknown."""
        absent = np.broadcast_to(np.int32(-1), len(at))
        self._at, self._texts = at, {name: texts.get(name, absent) for name in COUNTED}
        self._amounts = amounts
        self._counts = np.ones(len(at), np.bool_) if counts is None else counts

    def values(self) -> Features:
        """Return all features of all rows."""
        found: Features = {}
        for key, definitions in BY_KEY.items():
            found |= self._compute_key(key, definitions)
        return found

    def _compute_key(self, key: Key, definitions: tuple[Definition, ...]) -> Features:
        own = self._texts[key.value]
        order = _sort_rows(own) if own.max(initial=-1) >= 0 else np.zeros(0, np.int32)
        order = order[np.count_nonzero(own < 0) :]  # rows of a key are adjacent, in the order of time
        past = _SortedRows(own[order], self._at[order])
        found = {}
        for definition in definitions:
            present = own >= 0
            if definition.of:
                present &= self._texts[definition.of] >= 0
            in_order = self._compute(definition, past, order)
            column = np.zeros(len(own), in_order.dtype)
            column[order] = in_order
            found[definition.name] = (column, present)
        return found

    def _compute(self, definition: Definition, past: "_SortedRows", order: Ints) -> Column:
        first, last = past.window(definition.window), past.rows
        if definition.kind is Kind.ATTEMPTS:
            return last - first + int(definition.itself)
        if definition.kind is Kind.DIFFERENT:
            return past.count_different(self._texts[definition.of][order], first)
        if definition.kind is Kind.NEW:
            return past.is_new(self._texts[definition.of][order], first)
        counts = self._counts[order]
        if definition.kind is Kind.DAYS_SINCE_FIRST:
            return past.days_since_first(counts)
        if definition.kind is Kind.ORDERS:
            return _window_sums(counts.astype(np.int64), first, last)
        return self._mean(counts, order, first, last)

    def _mean(self, counts: npt.NDArray[np.bool_], order: Ints, first: Ints, last: Ints) -> Column:
        if self._amounts is None:
            return np.zeros(len(order))
        amounts = self._amounts[order]
        known = counts & ~np.isnan(amounts)
        units = np.where(known, np.minimum(np.rint(np.where(known, amounts, 0) * AMOUNT_UNITS), MAX_AMOUNT), 0)
        # Running sums wrap around when they grow too large, and their differences are still right.
        sums, number = (
            _window_sums(units.astype(np.int64), first, last),
            _window_sums(known.astype(np.int64), first, last),
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums.astype(np.float64) / number.astype(np.float64) / AMOUNT_UNITS
        return np.where(number > 0, mean, 0.0)


class _SortedRows:
    """Rows sorted by key; rows of one key are adjacent, in the order of time."""

    def __init__(self, keys: Ints, at: Ints) -> None:
        self._at, self.rows = at, np.arange(len(at), dtype=np.int32)
        begins = np.ones(len(at), np.bool_)
        begins[1:] = keys[1:] != keys[:-1]
        starts = np.flatnonzero(begins).astype(np.int32)
        self._group = np.cumsum(begins, dtype=np.int32) - 1
        self._starts = starts
        self._latest = np.maximum(starts[self._group], self.rows + 1 - LATEST) if len(at) else self.rows
        # One ascending number for key and time.
        self._span = int(at.max() - at.min()) + 1 if len(at) else 1
        self._base = int(at.min()) if len(at) else 0

    def window(self, seconds: int | None) -> Ints:
        """Return the first row of each row's window."""
        if seconds is None or not len(self._at):
            return self._latest
        span = self._span + seconds
        place = self._group.astype(np.int64) * span + (self._at - self._base)
        # A moment before the key's own beginning is still above all rows of the previous key: spans include a window.
        wanted = np.maximum(place - seconds, self._group.astype(np.int64) * span)
        return np.asarray(np.maximum(np.searchsorted(place, wanted).astype(np.int32), self._latest))

    def count_different(self, values: Ints, first: Ints) -> Ints:
        """Return how many different values the row and its window have; -1 is no value."""
        following = self._neighbour(values, forward=True)
        # The first row whose window begins after this one.
        left = np.searchsorted(first, self.rows, side="right").astype(np.int32)
        present = values >= 0
        steps = np.zeros(len(values) + 1, np.int32)
        steps[self.rows[present]] = 1
        steps -= np.bincount(np.minimum(following, left)[present], minlength=len(steps)).astype(np.int32)
        return np.cumsum(steps[:-1], dtype=np.int32)

    def is_new(self, values: Ints, first: Ints) -> npt.NDArray[np.bool_]:
        """Return whether no earlier row of the window has the row's value."""
        return self._neighbour(values, forward=False) < first

    def days_since_first(self, counts: npt.NDArray[np.bool_]) -> Ints:
        """Return whole days since the first earlier row of the key that counts; 0 if there is none."""
        found = np.where(counts, self.rows, len(counts))
        first = np.minimum.reduceat(found, self._starts)[self._group] if len(counts) else found
        days = (self._at - self._at[np.minimum(first, len(counts) - 1)]) // DAY if len(counts) else found
        days = np.minimum(days, MAX_DAYS)
        return np.asarray(np.where(first < self.rows, days, 0), np.int64)

    def _neighbour(self, values: Ints, *, forward: bool) -> Ints:
        """Return the next or previous row of the same key and value; the number of rows, or -1, if there is none."""
        # Rows of a key are adjacent. Among the rows of one value, the rows of one key stay adjacent.
        order = _sort_rows(values)
        group, values = self._group[order], values[order]
        same = np.zeros(len(order), np.bool_)
        same[1:] = (group[1:] == group[:-1]) & (values[1:] == values[:-1])
        found = np.full(len(order), len(order) if forward else -1, np.int32)
        pairs = np.flatnonzero(same)
        if forward:
            found[order[pairs - 1]] = order[pairs]
        else:
            found[order[pairs]] = order[pairs - 1]
        return found


def _sort_rows(codes: Ints) -> Ints:
    """Return the rows sorted by their codes. Rows of one code keep their order.

    It sorts code and row number as one number, which takes 0.4 of the time of a stable sort.
    """
    packed = (codes.astype(np.int64) << 32) | np.arange(len(codes))
    packed.sort()
    return (packed & 0xFFFFFFFF).astype(np.int32)


def _window_sums(numbers: Ints, first: Ints, last: Ints) -> Ints:
    """Return sums of numbers from one row to before another."""
    with np.errstate(over="ignore"):
        running = np.concatenate(([0], np.cumsum(numbers)))
        return running[last] - running[first]
