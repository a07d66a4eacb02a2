"""Conversion of files of other formats by a mapping. Unreadable values become unknown and are reported with advice."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from contract.extras import NAME_PATTERN, is_name
from contract.fields import FIELDS, REQUIRED
from contract.schema import TYPES
from contract.tables import TableError
from ml_server.data.columns import TIME_ADVICE, convert_column, extra_numbers, extra_texts
from ml_server.data.mapping_file import ColumnMapping, FieldMapping, LabelMapping, Source
from ml_server.data.report import Ids, Report, format_example
from ml_server.data.values import Series


class Conversion:
    """Converts one file in pieces, and keeps the state of the whole file between them: ids, labels, row numbers."""

    def __init__(self, mapping: FieldMapping, report: Report) -> None:
        self.rows = 0
        self._mapping, self._report = mapping, report
        self._ids, self._labels = Ids(), Counter[str]()

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """Convert the next piece.

        Raises TableError if a mapped column is missing, a required one has unreadable values, an id is repeated, or
        the label has no value or more than two.
        """
        mapping, report = self._mapping, self._report
        self._check_columns(frame)
        result: dict[str, pa.Array] = {}
        for name, source in mapping.columns.items():
            series = convert_column(name, source, frame, report)
            if name in REQUIRED and series.isna().any():
                raise TableError(_unreadable(name, source, frame, series, self.rows))
            result[name] = pa.array(series, TYPES[name], from_pandas=True)
        if "transaction_id" in result:
            column = ", ".join(mapping.columns["transaction_id"].sources)
            self._ids.add(column, result["transaction_id"].to_pylist())
        self._number_rows(result, len(frame))
        for name in mapping.extra.numeric:
            series = extra_numbers(name, self._extra(name), frame, report)
            result[name] = pa.array(series, pa.float64(), from_pandas=True)
        for name in mapping.extra.categorical:
            result[name] = pa.array(extra_texts(name, self._extra(name), frame, report), pa.string(), from_pandas=True)
        if mapping.label:
            result["is_abuse"] = self._label(mapping.label, frame[mapping.label.source])
        self.rows += len(frame)
        return pa.table(result)

    def finish(self) -> None:
        """Check the whole file. Raises TableError if the label never has its value for abuse."""
        label = self._mapping.label
        if label and self._labels and not any(_is(label.abuse, value) for value in self._labels):
            raise TableError(
                f"label column {label.source} has no value {label.abuse!r}; it has {', '.join(self._labels)}"
            )

    def _extra(self, name: str) -> Source:
        return self._mapping.extra_sources.get(name) or ColumnMapping(source=name)

    def _check_columns(self, frame: pd.DataFrame) -> None:
        mapping, report = self._mapping, self._report
        used = [column for source in mapping.columns.values() for column in source.sources]
        used += [column for name in mapping.extra.names for column in self._extra(name).sources]
        used += [mapping.label.source] if mapping.label else []
        if missing := [name for name in dict.fromkeys(used) if name not in frame.columns]:
            raise TableError(
                f"column {', '.join(missing)} is missing; the file has {', '.join(map(str, frame.columns[:50]))}"
            )
        unused = [str(name) for name in frame.columns if name not in used]
        if unused:
            report.add_line(f"unused columns: {', '.join(unused)}")
        for name in unused:
            if name in FIELDS and name not in mapping.columns:
                report.add_line(f"{name}: has the name of a field, but is not mapped to it")
        for name in mapping.extra.names:
            if not is_name(name):
                report.add_line(f"{name}: requests cannot contain an extra of this name ({NAME_PATTERN}); rename it, as in "
                           f"extra: {{numeric: {{amount_2: {name}}}}}")  # fmt: skip

    def _number_rows(self, result: dict[str, pa.Array], rows: int) -> None:
        """Add missing ids: row numbers, with a different user for each row."""
        for name in ("transaction_id", "user_id"):
            if name not in result:
                result[name] = pa.array([f"row-{row + 1}" for row in range(self.rows, self.rows + rows)])
                self._report.add_finding(name, rows, rows, "are not mapped; numbered by row")

    def _label(self, label: LabelMapping, source: "Series[Any]") -> pa.Array:
        text = source.astype("string").str.strip()
        if text.isna().any():
            first = int(np.flatnonzero(text.isna())[0]) + self.rows + 1
            raise TableError(
                f"label column {label.source}: {int(text.isna().sum()):,} values are empty, first in row {first:,}; "
                "leave out orders without a known outcome"
            )
        self._labels.update({str(value): int(count) for value, count in text.value_counts().items()})
        if len(self._labels) > 2:
            counts = ", ".join(f"{format_example(value)} ({count:,})" for value, count in self._labels.most_common(6))
            raise TableError(f"label column {label.source} has {len(self._labels)} values instead of two: {counts}")
        abuse = {value: _is(label.abuse, value) for value in text.unique()}
        return pa.array(text.map(abuse).to_numpy(dtype=bool))


def _is(wanted: object, value: str) -> bool:
    """Return whether a label's text is the value in the mapping: 1 equals 1.0, true equals True."""
    if str(wanted).strip().lower() == value.lower():
        return True
    try:
        return float(str(wanted)) == float(value) and not isinstance(wanted, bool)
    except ValueError:
        return False


def _unreadable(name: str, source: Source, frame: pd.DataFrame, series: "Series[Any]", before: int) -> str:
    row = int(np.flatnonzero(series.isna())[0])
    column = ", ".join(source.sources)
    value = frame[source.sources[0]].iloc[row]
    message = f"column {column}: {int(series.isna().sum()):,} values are not a valid {name}, like "
    message += f"{'an empty one' if pd.isna(value) else format_example(value)} in row {before + row + 1:,}"
    if name == "timestamp" and isinstance(source, ColumnMapping):
        message += f"; {TIME_ADVICE}"
    return message


def apply(mapping: FieldMapping, frame: pd.DataFrame, report: Report) -> pa.Table:
    """Convert a whole file's columns; see Conversion."""
    conversion = Conversion(mapping, report)
    table = conversion.table(frame)
    conversion.finish()
    return table
