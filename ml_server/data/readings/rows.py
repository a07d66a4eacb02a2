"""Which rows of a file are orders, and what rows say about one another: labels and sums of several rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from contract.tables import TableError
from ml_server.data.mapping_file import FieldMapping
from ml_server.data.mapping_schema import ColumnMapping, Condition, LabelColumn, LabelRows, Sum
from ml_server.data.readings.cells import read_cells, to_string, trim
from ml_server.data.readings.columns import ColumnReader
from ml_server.data.readings.flags import match_values
from ml_server.data.readings.labels import LabelReader
from ml_server.data.report import Report, format_example


def meet(conditions: Mapping[str, Condition], frame: pd.DataFrame) -> "pd.Series[Any]":
    """Return which rows meet all conditions."""
    rows = pd.Series(True, index=frame.index)
    for name, condition in conditions.items():
        cells = trim(frame[name])
        if condition.empty is not None:
            rows &= cells.isna() == condition.empty
        elif condition.values is not None:
            rows &= match_values(cells, condition.values)
        else:
            rows &= ~match_values(cells, condition.unlike or ())
    return rows


def orders_of(mapping: FieldMapping, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are orders, with their place in the file as index."""
    if isinstance(mapping.label, LabelRows):
        frame = frame[~meet(mapping.label.rows, frame)]
    return frame[meet(mapping.where, frame)] if mapping.where else frame


def order_ids(mapping: FieldMapping, frame: pd.DataFrame) -> "pd.Series[Any]":
    """Return the ids of the orders of rows."""
    source = mapping.columns["transaction_id"]
    assert isinstance(source, ColumnMapping)
    return to_string(read_cells("transaction_id", source, frame, None)).str.strip()


class Links:
    """What the rows of a whole file say about one another: the ids of orders that are abuse, and sums by id."""

    def __init__(self, mapping: FieldMapping, reader: ColumnReader) -> None:
        self._mapping, self._reader = mapping, reader
        self.abusive: set[str] = set()
        self._sums: dict[str, list[Any]] = (
            {name: [] for name in mapping.lines.sum} if isinstance(mapping.lines, Sum) else {}
        )
        self.sums: dict[str, Any] = {}
        label = mapping.label if mapping.labelled else None
        self._labels = LabelReader(label) if isinstance(label, LabelColumn) and mapping.lines != "refuse" else None

    @property
    def columns(self) -> list[str]:
        """The columns that have to be read before the others; empty if there is nothing to find out."""
        mapping, label = self._mapping, self._mapping.label
        names = [name for total in self._sums for name in mapping.sources[total].sources]
        if self._labels or (isinstance(label, LabelRows) and mapping.labelled):
            names += label.sources if label else ()
        if not names:
            return []
        names += [
            *mapping.where,
            *(label.rows if isinstance(label, LabelRows) else ()),
            *mapping.columns["transaction_id"].sources,
        ]
        return list(dict.fromkeys(names))

    def add(self, frame: pd.DataFrame) -> None:
        """Look at the next rows of the file, all of them."""
        mapping, label = self._mapping, self._mapping.label
        if isinstance(label, LabelRows):
            referring = to_string(frame[label.refers][meet(label.rows, frame)]).str.strip()
            self.abusive |= set(referring.dropna())
        orders = orders_of(mapping, frame)
        if self._labels is None and not self._sums:
            return
        ids = order_ids(mapping, orders)
        if self._labels and isinstance(label, LabelColumn):
            given = orders[to_string(orders[label.source]).notna()]
            self.abusive |= set(ids[given.index][self._labels.read(given) == 1].dropna())
        for name, pieces in self._sums.items():
            pieces.append(self._reader.raw_numbers(name, mapping.sources[name], orders).groupby(ids).sum(min_count=1))

    def finish(self) -> None:
        """Finish after the last row. Raises TableError if no row labels another, though rows of the mapping should."""
        label = self._mapping.label
        if self._labels:
            self._labels.finish()
        if isinstance(label, LabelRows) and self._mapping.labelled and not self.abusive:
            named = ", ".join(f"{name}: {list(one.values or one.unlike or ())}" for name, one in label.rows.items())
            raise TableError(f"label: no row with {named} refers to an order, so no order is abuse")
        self.sums = {name: pd.concat(pieces).groupby(level=0).sum(min_count=1) for name, pieces in self._sums.items()}

    def report_missing(self, ids: set[str], report: Report) -> None:
        """Report rows that refer to orders that the file does not have."""
        label = self._mapping.label
        if isinstance(label, LabelRows) and (missing := self.abusive - ids):
            report.add_line(
                f"{label.refers}: {len(missing):,} of {len(self.abusive):,} orders to which rows refer are not in the file, "
                f"like {format_example(min(missing))}"
            )


def first_rows(ids: "pd.Series[Any]", seen: set[str]) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return which rows are the first ones of their order, and remember them; a row without id is none."""
    new = ids.notna() & ~ids.duplicated() & ~ids.isin(seen)
    seen |= set(ids[new])
    return new.to_numpy(dtype=bool)
