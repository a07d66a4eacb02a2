"""Foreign columns through a mapping. Values that cannot be read become unknown, counted and told with the way out."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from contract.extras import NAME, is_name
from contract.fields import FIELDS, REQUIRED
from contract.schema import TYPES
from contract.tables import TableError
from ml_server.data.columns import TIME_WAY_OUT, converted, extra_numbers, extra_texts
from ml_server.data.mapping_file import ColumnMapping, FieldMapping, LabelMapping, Source
from ml_server.data.report import Ids, Report, shown
from ml_server.data.values import Series


class Conversion:
    """Reads one file in pieces: what holds of the file as a whole (ids, labels, row numbers) is kept between them."""

    def __init__(self, mapping: FieldMapping, report: Report) -> None:
        self.rows = 0
        self._mapping, self._report = mapping, report
        self._ids, self._labels = Ids(), Counter[str]()

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """The next piece as Transactions.

        Raises TableError where a mapped column is missing, a required one has unreadable values, an id stands there twice, or
        the label has no value or more than two.
        """
        mapping, report = self._mapping, self._report
        self._check_columns(frame)
        result: dict[str, pa.Array] = {}
        for name, source in mapping.columns.items():
            series = converted(name, source, frame, report)
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
        """What only the whole file tells. Raises TableError where the label never has its value for abuse."""
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
            report.say(f"unused columns: {', '.join(unused)}")
        for name in unused:
            if name in FIELDS and name not in mapping.columns:
                report.say(f"{name}: has the name of a field, but is not mapped to it")
        for name in mapping.extra.names:
            if not is_name(name):
                report.say(f"{name}: no request can carry an extra of this name ({NAME}): give it another, as in "
                           f"extra: {{numeric: {{amount_2: {name}}}}}")  # fmt: skip

    def _number_rows(self, result: dict[str, pa.Array], rows: int) -> None:
        """Ids that the data does not have: numbers of rows, and one user for each."""
        for name in ("transaction_id", "user_id"):
            if name not in result:
                result[name] = pa.array([f"row-{row + 1}" for row in range(self.rows, self.rows + rows)])
                self._report.note(name, rows, rows, "are not mapped: numbered by row")

    def _label(self, label: LabelMapping, source: "Series[Any]") -> pa.Array:
        text = source.astype("string").str.strip()
        if text.isna().any():
            first = int(np.flatnonzero(text.isna())[0]) + self.rows + 1
            raise TableError(
                f"label column {label.source}: {int(text.isna().sum()):,} values are empty, first in row {first:,}: "
                "leave out the orders of which nothing is known yet"
            )
        self._labels.update({str(value): int(count) for value, count in text.value_counts().items()})
        if len(self._labels) > 2:
            counts = ", ".join(f"{shown(value)} ({count:,})" for value, count in self._labels.most_common(6))
            raise TableError(f"label column {label.source} has {len(self._labels)} values, wanted two: {counts}")
        abuse = {value: _is(label.abuse, value) for value in text.unique()}
        return pa.array(text.map(abuse).to_numpy(dtype=bool))


def _is(wanted: object, value: str) -> bool:
    """Whether a label's text is the value that the mapping names: 1 is 1.0, true is True."""
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
    said = f"column {column}: {int(series.isna().sum()):,} values cannot be a {name}, like "
    said += f"{'an empty one' if pd.isna(value) else shown(value)} in row {before + row + 1:,}"
    if name == "timestamp" and isinstance(source, ColumnMapping):
        said += f": {TIME_WAY_OUT}"
    return said


def apply(mapping: FieldMapping, frame: pd.DataFrame, report: Report) -> pa.Table:
    """A whole file's columns as Transactions; see Conversion."""
    conversion = Conversion(mapping, report)
    table = conversion.table(frame)
    conversion.finish()
    return table
