"""The history of a whole table: gathered batch by batch, computed at once, filled in where a table leaves it open.

Rows are taken in the order of time, those of one time in the order of the file.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from history.columns import Columns, Ints
from history.definitions import DAY, DEFINITIONS, MASKED_ADDRESS, NEEDED, Key

READ = ("timestamp", "order_amount", "account_created_date", "account_age_days", *NEEDED)
"""Columns that are looked at."""
_UNKNOWN = np.iinfo(np.int64).min


class _Texts:
    """Numbers for the texts of a column that comes in pieces."""

    def __init__(self, name: str) -> None:
        self._pieces: list[pa.Array] = []
        self._is_address = name == Key.ADDRESS.value

    def add(self, column: pa.Array | None, rows: int) -> None:
        self._pieces.append(pa.nulls(rows, pa.string()) if column is None else column.cast(pa.string()))

    def whole(self) -> npt.NDArray[np.int32]:
        """All of them, once; the texts are given up."""
        pieces, self._pieces = pa.chunked_array(self._pieces, pa.string()), []
        encoded = pieces.dictionary_encode()  # one dictionary for all pieces
        del pieces
        numbers = [np.asarray(pc.fill_null(piece.indices, -1), np.int32) for piece in encoded.chunks]
        found = np.concatenate(numbers) if numbers else np.zeros(0, np.int32)
        if not encoded.num_chunks:
            return found
        dictionary = encoded.chunk(0).dictionary
        empty = pc.index(dictionary, "").as_py()
        if empty >= 0:
            found[found == empty] = -1
        return _without_masked(found, dictionary) if self._is_address else found


def _without_masked(found: npt.NDArray[np.int32], dictionary: pa.Array) -> npt.NDArray[np.int32]:
    """The numbers of addresses with -1 for those that are masked."""
    masked = np.asarray(pc.match_substring_regex(dictionary, MASKED_ADDRESS))
    kept = np.where(masked, -1, np.arange(len(dictionary))).astype(np.int32)
    return np.append(kept, np.int32(-1))[found]  # the last one is for rows without an address


class Past:
    """Gathers what memory would have kept of the rows of a table."""

    def __init__(self) -> None:
        self._texts = {name: _Texts(name) for name in NEEDED}
        self._at: list[Ints] = []
        self._amounts: list[npt.NDArray[np.float64]] = []
        self._opened: list[Ints] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        at = _seconds(batch.column("timestamp"))
        self._at.append(at)
        for name, texts in self._texts.items():
            texts.add(_column(batch, name), batch.num_rows)
        amounts = _column(batch, "order_amount")
        missing = np.full(batch.num_rows, np.nan)
        self._amounts.append(missing if amounts is None else _floats(amounts))
        self._opened.append(_opened(batch, at))

    def history(self, since: int | None = None) -> "History":
        """All fields of all rows. Memory began at `since`, in seconds since 1970; by default with the first row."""
        at, opened = np.concatenate(self._at), np.concatenate(self._opened)
        amounts = np.concatenate(self._amounts)
        texts = {name: column.whole() for name, column in self._texts.items()}
        self._at, self._opened, self._amounts = [], [], []
        order = None if bool(np.all(at[1:] >= at[:-1])) else np.argsort(at, kind="stable")
        if order is None:
            columns = Columns(at, texts, amounts)
        else:
            columns = Columns(at[order], {name: column[order] for name, column in texts.items()}, amounts[order])
        return History.of(columns, at, opened, int(at.min()) if since is None else since, order)


class History:
    """The fields of all rows, and where they are known."""

    def __init__(self, found: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]) -> None:
        self._found = found

    @classmethod
    def of(cls, columns: Columns, at: Ints, opened: Ints, since: int, order: Ints | None = None) -> "History":
        """What columns say, where memory that began at `since` can know it; `order` is theirs where it is not the rows'."""
        computed = columns.values()
        found: dict[str, tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]] = {}
        for definition in DEFINITIONS:
            values, there = computed.pop(definition.name)
            if order is not None:
                back_values, back_there = np.empty_like(values), np.empty_like(there)
                back_values[order], back_there[order] = values, there
                values, there = back_values, back_there
            reaches = at - definition.window >= since if definition.window is not None else opened >= since
            compact = values.astype(np.int32) if values.dtype.kind == "i" else values
            found[definition.name] = (compact, there & reaches)
        return cls(found)

    def column(self, name: str, first: int, rows: int) -> pa.Array:
        """A field of so many rows, null where it is not known."""
        values, known = self._found[name]
        part = slice(first, first + rows)
        return pa.array(values[part], mask=~known[part])

    def fill(self, table: pa.Table, first: int = 0) -> pa.Table:
        """A part of the table that begins with the row `first`, with what it leaves open filled in: what it says wins."""
        return filled_in(table, {name: self.column(name, first, table.num_rows) for name in self._found})

    def known(self, name: str) -> float:
        """The share of rows at which a field can be known."""
        return float(self._found[name][1].mean())


def filled_in(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """The table with what it leaves open filled in: what it says wins."""
    for name, column in columns.items():
        if name in table.column_names:
            place, own = table.column_names.index(name), table.column(name)
            table = table.set_column(place, name, pc.coalesce(own, column.cast(own.type)))
        else:
            table = table.append_column(name, column)
    return table


def with_history(table: pa.Table, since: int | None = None) -> pa.Table:
    """A table in memory with what it leaves open filled in."""
    past = Past()
    for batch in table.select([name for name in table.column_names if name in READ]).to_batches():
        past.add(batch)
    return past.history(since).fill(table)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    place = batch.schema.get_field_index(name)
    return None if place < 0 else batch.column(place)


def _seconds(column: pa.Array) -> Ints:
    """Times as whole seconds since 1970."""
    whole = pc.cast(column, pa.timestamp("s"), safe=False).cast(pa.int64())
    return np.asarray(pc.fill_null(whole, _UNKNOWN), np.int64)


def _floats(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _opened(batch: pa.RecordBatch, at: Ints) -> Ints:
    """When accounts were opened; long before everything where a row does not say."""
    opened = np.full(batch.num_rows, _UNKNOWN)
    age = _column(batch, "account_age_days")
    if age is not None:
        days = _floats(age)
        opened = np.where(np.isnan(days), opened, at - (np.nan_to_num(days) * DAY).astype(np.int64))
    created = _column(batch, "account_created_date")
    if created is not None:
        own = _seconds(created)
        opened = np.where(own == _UNKNOWN, opened, own)
    return opened
