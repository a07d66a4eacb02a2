"""The definitions over the columns of a table whose rows are in the order of time: no row is looked at alone.

Rows of a key lie beside each other, sorted by time. The window of a row is then a run that ends with the row, and its beginning
only moves forward. Counts are differences of running sums. Of different values, each row counts from itself to the next row of
the same value, for as long as the window still reaches back to it: one step up, one step down, and a running sum.
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
    DAY,
    LARGEST_AMOUNT,
    LATEST,
    MOST_DAYS,
    NEEDED,
    Definition,
    Key,
    Kind,
)

Ints = npt.NDArray[np.signedinteger[Any]]
"""Times and sums are of 64 bits, places and codes of 32: a table of ten million rows has dozens of such columns."""
Column = npt.NDArray[Any]


def codes(column: pa.ChunkedArray | pa.Array) -> Ints:
    """A number for each text, -1 where it is absent or empty. Texts that are equal have equal numbers."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    whole = whole.cast(pa.string())
    encoded = pc.if_else(pc.equal(whole, ""), None, whole).dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1), np.int64)


class Columns:
    """The history of every row, given its columns: `at` in whole seconds, not falling; `counts` whether it is an order."""

    def __init__(
        self, at: Ints, texts: Mapping[str, Ints], amounts: npt.NDArray[np.float64] | None = None,
        counts: npt.NDArray[np.bool_] | None = None,
    ) -> None:  # fmt: skip
        """`amounts` are NaN where unknown."""
        self._at, self._texts = at, {name: texts.get(name, np.full(len(at), -1, np.int64)) for name in NEEDED}
        self._amounts = amounts
        self._counts = np.ones(len(at), np.bool_) if counts is None else counts

    def values(self) -> dict[str, tuple[Column, npt.NDArray[np.bool_]]]:
        """By field: its values, and where key and other field are there."""
        found: dict[str, tuple[Column, npt.NDArray[np.bool_]]] = {}
        for key, definitions in BY_KEY.items():
            found |= self._of_key(key, definitions)
        return found

    def _of_key(self, key: Key, definitions: tuple[Definition, ...]) -> dict[str, tuple[Column, npt.NDArray[np.bool_]]]:
        own = self._texts[key.value]
        order = _sorted_rows(own)  # rows of a key beside each other, in the order of time
        order = order[np.count_nonzero(own < 0) :]
        past = _Past(own[order], self._at[order])
        found = {}
        for definition in definitions:
            there = own >= 0
            if definition.of:
                there &= self._texts[definition.of] >= 0
            in_order = self._computed(definition, past, order)
            column = np.zeros(len(own), in_order.dtype)
            column[order] = in_order
            found[definition.name] = (column, there)
        return found

    def _computed(self, definition: Definition, past: "_Past", order: Ints) -> Column:
        first, last = past.window(definition.window), past.rows
        if definition.kind is Kind.ATTEMPTS:
            return last - first + int(definition.itself)
        if definition.kind is Kind.DIFFERENT:
            return past.different(self._texts[definition.of][order], first)
        if definition.kind is Kind.NEW:
            return past.is_new(self._texts[definition.of][order], first)
        counts = self._counts[order]
        if definition.kind is Kind.DAYS_SINCE_FIRST:
            return past.days_since_first(counts)
        if definition.kind is Kind.ORDERS:
            return _between(counts.astype(np.int64), first, last)
        return self._mean(counts, order, first, last)

    def _mean(self, counts: npt.NDArray[np.bool_], order: Ints, first: Ints, last: Ints) -> Column:
        if self._amounts is None:
            return np.zeros(len(order))
        amounts = self._amounts[order]
        known = counts & ~np.isnan(amounts)
        units = np.where(known, np.minimum(np.rint(np.where(known, amounts, 0) * AMOUNT_UNITS), LARGEST_AMOUNT), 0)
        # Running sums wrap around where they grow too large, and their differences are right all the same.
        sums, number = _between(units.astype(np.int64), first, last), _between(known.astype(np.int64), first, last)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums.astype(np.float64) / number.astype(np.float64) / AMOUNT_UNITS
        return np.where(number > 0, mean, 0.0)


class _Past:
    """Rows of all values of a key, those of one value beside each other and in the order of time."""

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
        """The first row of each row's window."""
        if seconds is None or not len(self._at):
            return self._latest
        span = self._span + seconds
        place = self._group.astype(np.int64) * span + (self._at - self._base)
        # A moment before the key's own beginning is still above all of the key before: spans have room for a window.
        wanted = np.maximum(place - seconds, self._group.astype(np.int64) * span)
        return np.asarray(np.maximum(np.searchsorted(place, wanted).astype(np.int32), self._latest))

    def different(self, values: Ints, first: Ints) -> Ints:
        """How many different values a row and its window have; -1 is none."""
        following = self._neighbour(values, forward=True)
        # The first row whose window begins behind this one.
        left = np.searchsorted(first, self.rows, side="right").astype(np.int32)
        there = values >= 0
        steps = np.zeros(len(values) + 1, np.int32)
        steps[self.rows[there]] = 1
        steps -= np.bincount(np.minimum(following, left)[there], minlength=len(steps)).astype(np.int32)
        return np.cumsum(steps[:-1], dtype=np.int32)

    def is_new(self, values: Ints, first: Ints) -> npt.NDArray[np.bool_]:
        """Whether no earlier row of the window has the row's value."""
        return self._neighbour(values, forward=False) < first

    def days_since_first(self, counts: npt.NDArray[np.bool_]) -> Ints:
        """Whole days since the first earlier row of the key that counts; 0 where there is none."""
        found = np.where(counts, self.rows, len(counts))
        first = np.minimum.reduceat(found, self._starts)[self._group] if len(counts) else found
        days = (self._at - self._at[np.minimum(first, len(counts) - 1)]) // DAY if len(counts) else found
        days = np.minimum(days, MOST_DAYS)
        return np.asarray(np.where(first < self.rows, days, 0), np.int64)

    def _neighbour(self, values: Ints, *, forward: bool) -> Ints:
        """The next row of the same key and value, or the one before; past the end, or -1, where there is none."""
        # Rows of a key lie beside each other: of those of one value, the rows of one key stay so.
        order = _sorted_rows(values)
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


def _sorted_rows(codes: Ints) -> Ints:
    """Rows by their codes, those of one code in their order.

    Code and row in one number are sorted by value, which takes 0.4 of what a stable sort of places takes.
    """
    packed = (codes.astype(np.int64) << 32) | np.arange(len(codes))
    packed.sort()
    return (packed & 0xFFFFFFFF).astype(np.int32)


def _between(numbers: Ints, first: Ints, last: Ints) -> Ints:
    """Sums of numbers from one row to before another."""
    with np.errstate(over="ignore"):
        running = np.concatenate(([0], np.cumsum(numbers)))
        return running[last] - running[first]
