"""The history of a whole table: collected batch by batch, computed at once, and used to fill in missing values.

Rows are processed in the order of time. Rows of the same time keep the order of the file.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from history.columns import Columns, Features, Ints
from history.definitions import COUNTED, DAY, DEFINITIONS, NO_KEY, Key

READ = (
    "timestamp", "order_amount", "currency", "exchange_rate", "account_created_date", "account_age_days", *COUNTED,
)  # fmt: skip
"""Columns that are read. Amounts must be in one currency, so the two columns that say in which are for the caller."""
_UNKNOWN = np.iinfo(np.int64).min


class _Texts:
    """Numbers for the texts of a column that arrives in chunks."""

    def __init__(self, name: str) -> None:
        self.is_absent = True
        self._pieces: list[pa.Array] = []
        self._is_address = name == Key.ADDRESS.value

    def add(self, column: pa.Array | None, rows: int) -> None:
        self.is_absent &= column is None
        self._pieces.append(pa.nulls(rows, pa.string()) if column is None else column.cast(pa.string()))

    def whole(self) -> npt.NDArray[np.int32]:
        """Return the numbers of all chunks. It frees the texts, so call it once."""
        pieces, self._pieces = pa.chunked_array(self._pieces, pa.string()), []
        encoded = pieces.dictionary_encode()  # one dictionary for all chunks
        del pieces
        numbers = [np.asarray(pc.fill_null(piece.indices, -1), np.int32) for piece in encoded.chunks]
        found = np.concatenate(numbers) if numbers else np.zeros(0, np.int32)
        if not encoded.num_chunks:
            return found
        dictionary = encoded.chunk(0).dictionary
        empty = pc.index(dictionary, "").as_py()
        if empty >= 0:
            found[found == empty] = -1
        return _without_shared(found, dictionary) if self._is_address else found


def _without_shared(found: npt.NDArray[np.int32], dictionary: pa.Array) -> npt.NDArray[np.int32]:
    """Return the numbers of addresses, with -1 for masked and private ones."""
    shared = np.asarray(pc.match_substring_regex(dictionary, NO_KEY))
    numbers = np.where(shared, -1, np.arange(len(dictionary))).astype(np.int32)
    return np.append(numbers, np.int32(-1))[found]  # the last one is for rows without an address


class HistoryBuilder:
    """Collects the columns of a table that history needs."""

    def __init__(self) -> None:
        self._texts = {name: _Texts(name) for name in COUNTED}
        self._at: list[Ints] = []
        self._amounts: list[npt.NDArray[np.float64]] = []
        self._account_opened: list[Ints] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        at = _seconds(batch.column("timestamp"))
        self._at.append(at)
        for name, texts in self._texts.items():
            texts.add(_column(batch, name), batch.num_rows)
        amounts = _column(batch, "order_amount")
        missing = np.full(batch.num_rows, np.nan)
        self._amounts.append(missing if amounts is None else _floats(amounts))
        self._account_opened.append(_account_opened(batch, at))

    def history(self, since: int | None = None) -> "History":
        """Return all features of all rows. History began at `since`, in seconds since 1970, or with the first row."""
        at, opened = np.concatenate(self._at), np.concatenate(self._account_opened)
        amounts = np.concatenate(self._amounts)
        texts = {name: column.whole() for name, column in self._texts.items() if not column.is_absent}
        self._at, self._account_opened, self._amounts = [], [], []
        order = None if bool(np.all(at[1:] >= at[:-1])) else np.argsort(at, kind="stable")
        if order is None:
            columns = Columns(at, texts, amounts)
        else:
            columns = Columns(at[order], {name: column[order] for name, column in texts.items()}, amounts[order])
        return History.of(columns, at, opened, int(at.min()) if since is None else since, order)


class History:
    """The features of all rows, and where they are known."""

    def __init__(self, found: Features) -> None:
        self._found = found

    @classmethod
    def of(cls, columns: Columns, at: Ints, opened: Ints, since: int, order: Ints | None = None) -> "History":
        """Mark values as known where history covers them. `order` is that of the columns, if not that of the rows."""
        computed = columns.values()
        found: Features = {}
        for definition in DEFINITIONS:
            values, present = computed.pop(definition.name)
            if order is not None:
                row_values, row_present = np.empty_like(values), np.empty_like(present)
                row_values[order], row_present[order] = values, present
                values, present = row_values, row_present
            covered = at - definition.window >= since if definition.window is not None else opened >= since
            if not present.any():  # no memory for fields of columns that a table does not have
                found[definition.name] = (
                    np.broadcast_to(values.dtype.type(0), len(at)),
                    np.broadcast_to(np.False_, len(at)),
                )
                continue
            compact = values.astype(np.int32) if values.dtype.kind == "i" else values
            found[definition.name] = (compact, present & covered)
        return cls(found)

    def column(self, name: str, first: int, rows: int) -> pa.Array:
        """Return a feature of `rows` rows from `first` on, null where it is not known."""
        values, known = self._found[name]
        part = slice(first, first + rows)
        return pa.array(values[part], mask=~known[part])

    def fill(self, table: pa.Table, first: int = 0) -> pa.Table:
        """Fill in missing values of a part of the table from row `first` on. Values of the table take precedence."""
        return fill_missing(table, {name: self.column(name, first, table.num_rows) for name in self._found})

    def known_share(self, name: str) -> float:
        """Return the share of rows for which a feature is known."""
        return float(self._found[name][1].mean())


def fill_missing(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Return the table with missing values filled in. Values of the table take precedence."""
    for name, column in columns.items():
        if name in table.column_names:
            place, own = table.column_names.index(name), table.column(name)
            table = table.set_column(place, name, pc.coalesce(own, column.cast(own.type)))
        else:
            table = table.append_column(name, column)
    return table


def with_history(table: pa.Table, since: int | None = None) -> pa.Table:
    """Return a table in memory with missing values filled in from its own history."""
    past = HistoryBuilder()
    for batch in table.select([name for name in table.column_names if name in READ]).to_batches():
        past.add(batch)
    return past.history(since).fill(table)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    place = batch.schema.get_field_index(name)
    return None if place < 0 else batch.column(place)


def _seconds(column: pa.Array) -> Ints:
    """Return times as whole seconds since 1970."""
    whole = pc.cast(column, pa.timestamp("s"), safe=False).cast(pa.int64())
    return np.asarray(pc.fill_null(whole, _UNKNOWN), np.int64)


def _floats(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _account_opened(batch: pa.RecordBatch, at: Ints) -> Ints:
    """Return when accounts were opened; the smallest number if a row does not say."""
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
