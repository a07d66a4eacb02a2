"""Conversion of files of other formats by a mapping. Unreadable values become unknown and are reported with advice."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from contract.extras import NAME_PATTERN, is_name
from contract.schema import TYPES
from contract.tables import TableError
from ml_server.data.mapping_file import ColumnMapping, FieldMapping, LabelColumn, Source
from ml_server.data.readings.columns import TIME_ADVICE, ColumnReader
from ml_server.data.readings.decisions import Survey
from ml_server.data.readings.labels import LabelReader
from ml_server.data.readings.rows import Links, first_rows, order_ids, orders_of
from ml_server.data.report import Ids, Report, format_example

Frames = Callable[[Sequence[str] | None], Iterator[pd.DataFrame]]
"""Reads a file from its start: yields some columns, or all of them, in pieces."""


class Conversion:
    """Converts one file. It is read up to three times: how its columns are written, what rows say about others, all."""

    def __init__(self, mapping: FieldMapping, frames: Frames, names: Sequence[str], report: Report) -> None:
        """`names` are the columns of the file. Raises TableError if one of the mapping is missing."""
        self._mapping, self._frames, self._report = mapping, frames, report
        self._used = self._check_columns(names)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the orders of the file in pieces.

        Raises TableError if a column has no one reading, a required one has unreadable values, an id is repeated, or the
        label has a value of which the mapping does not say what it means.
        """
        mapping, report = self._mapping, self._report
        survey = Survey(mapping)
        for frame in self._numbered(survey.columns):
            survey.add(orders_of(mapping, frame))
        reader = ColumnReader(mapping.targets.fields, survey.decide(report), report)
        links = Links(mapping, ColumnReader(mapping.targets.fields, reader.decisions, Report()))
        if columns := links.columns:
            for frame in self._numbered(columns):
                links.add(frame)
            links.finish()
        yield from _Orders(mapping, reader, links, report).tables(self._numbered(self._used))

    def _numbered(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield pieces of columns, and those that choose rows, with the place of each row in the file as index."""
        if not columns:
            return
        label, first = self._mapping.label, 0
        chosen = [*self._mapping.where, *(label.sources if label is not None else ())]
        for frame in self._frames(list(dict.fromkeys([*columns, *(name for name in chosen if name in self._used)]))):
            if len(frame):
                frame.index = pd.RangeIndex(first, first + len(frame))
                first += len(frame)
                yield frame

    def _check_columns(self, names: Sequence[str]) -> list[str]:
        mapping, report, used = self._mapping, self._report, self._mapping.used
        if missing := [name for name in used if name not in names]:
            raise TableError(f"column {', '.join(missing)} is missing; the file has {', '.join(map(str, names[:50]))}")
        unused = [str(name) for name in names if name not in used]
        if unused:
            report.add_line(f"unused columns: {', '.join(unused)}")
        for name in unused:
            if name in mapping.targets.fields and name not in mapping.columns:
                report.add_line(f"{name}: has the name of a field, but is not mapped to it")
        for name in mapping.extra.names:
            if not is_name(name):
                report.add_line(f"{name}: requests cannot contain an extra of this name ({NAME_PATTERN}); rename it, as in "
                           f"extra: {{numeric: {{amount_2: {name}}}}}")  # fmt: skip
        return used


class _Orders:
    """Converts the rows of a file, and keeps the state of the whole file between its pieces: ids, labels, counts."""

    def __init__(self, mapping: FieldMapping, reader: ColumnReader, links: Links, report: Report) -> None:
        self._mapping, self._reader, self._links, self._report = mapping, reader, links, report
        self._ids, self._seen, self._rows = Ids(), set[str](), 0
        label = mapping.label if mapping.labelled else None
        self._labels = LabelReader(label) if isinstance(label, LabelColumn) else None
        self._has_label = label is not None

    def tables(self, frames: Iterator[pd.DataFrame]) -> Iterator[pa.Table]:
        """Yield the orders of the pieces."""
        for frame in frames:
            orders = self._choose(frame)
            if len(orders):
                self._rows += len(orders)
                yield self._table(orders)
        if self._labels and self._mapping.lines == "refuse":
            self._labels.finish()
        self._links.report_missing(self._seen, self._report)
        if not self._rows:
            raise TableError("no row meets where" if self._mapping.where else "the file has no rows")

    def _choose(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows that become orders."""
        mapping, report = self._mapping, self._report
        orders = orders_of(mapping, frame)
        if len(orders) < len(frame) or mapping.where:
            report.add_finding("where", len(frame) - len(orders), len(frame), "rows are no orders and left out")
        if mapping.lines != "refuse":
            ids = order_ids(mapping, orders)
            new = first_rows(ids, self._seen) | ids.isna().to_numpy()
            report.add_finding("lines", int((~new).sum()), len(orders), "rows are further rows of an order")
            orders = orders[new]
        elif mapping.label is not None and not isinstance(mapping.label, LabelColumn):
            self._seen |= set(order_ids(mapping, orders).dropna())
        return orders

    def _table(self, frame: pd.DataFrame) -> pa.Table:
        mapping, reader = self._mapping, self._reader
        result: dict[str, pa.Array] = {}
        sums = {name: order_ids(mapping, frame).map(totals) for name, totals in self._links.sums.items()}
        for name, source in mapping.columns.items():
            series = reader.field(name, source, frame, sums.get(name))
            if name in mapping.targets.required and series.isna().any():
                raise TableError(_unreadable(name, source, frame, series))
            wanted = _type_of(mapping, name)
            if pa.types.is_timestamp(wanted):
                times: Any = series
                series = times.dt.floor(wanted.unit).astype(f"datetime64[{wanted.unit}]")
            result[name] = pa.array(series, wanted, from_pandas=True)
        if "transaction_id" in result and mapping.targets.unique:
            column = ", ".join(mapping.columns["transaction_id"].sources)
            self._ids.add(column, result["transaction_id"].to_pylist())
        self._number_rows(result, frame)
        for name in mapping.extra.numeric:
            series = reader.extra_numbers(name, mapping.extra_source(name), frame, sums.get(name))
            result[name] = pa.array(series, pa.float64(), from_pandas=True)
        for name in mapping.extra.categorical:
            series = reader.extra_texts(name, mapping.extra_source(name), frame)
            result[name] = pa.array(series, pa.string(), from_pandas=True)
        if self._has_label:
            result["is_abuse"] = self._label(frame)
        return pa.table(result)

    def _number_rows(self, result: dict[str, pa.Array], frame: pd.DataFrame) -> None:
        """Add missing ids: row numbers, with a different user for each row."""
        for name in self._mapping.targets.numbered:
            if name not in result:
                result[name] = pa.array([f"row-{row + 1}" for row in frame.index])
                if name in self._mapping.targets.fields:
                    self._report.add_finding(name, len(frame), len(frame), "are not mapped; numbered by row")

    def _label(self, frame: pd.DataFrame) -> pa.Array:
        """Return whether orders are abuse, null where that is unknown."""
        labels = self._labels.read(frame) if self._labels else np.zeros(len(frame))
        if self._links.abusive:
            labels = np.where(order_ids(self._mapping, frame).isin(self._links.abusive), 1.0, labels)
        return pa.array(labels == 1, pa.bool_(), mask=np.isnan(labels))


def _type_of(mapping: FieldMapping, name: str) -> pa.DataType:
    return TYPES.get(name) or (pa.timestamp("us") if mapping.targets.fields[name].kind == "time" else pa.string())


def _unreadable(name: str, source: Source, frame: pd.DataFrame, series: "pd.Series[Any]") -> str:
    place = int(np.flatnonzero(series.isna())[0])
    column = source.column if isinstance(source, ColumnMapping) else ", ".join(source.sources)
    value = frame[source.sources[0]].iloc[place]
    message = f"column {column}: {int(series.isna().sum()):,} values are not a valid {name}, like "
    message += f"{'an empty one' if pd.isna(value) else format_example(value)} in row {int(frame.index[place]) + 1:,}"
    if pd.isna(value) and isinstance(source, ColumnMapping) and name != "timestamp":
        message += f"; name a column to take instead, as in {name}: {{from: {column}, fallback: other}}"
    elif name == "timestamp" and isinstance(source, ColumnMapping):
        message += f"; {TIME_ADVICE}"
    return message


def apply(mapping: FieldMapping, frame: pd.DataFrame, report: Report) -> pa.Table:
    """Convert a whole frame; see Conversion."""

    def frames(columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        yield frame[list(columns)] if columns is not None else frame.copy(deep=False)

    return pa.concat_tables(Conversion(mapping, frames, list(map(str, frame.columns)), report).tables())
