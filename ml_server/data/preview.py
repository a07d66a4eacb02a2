"""The first orders of a file as a mapping reads them, beside the cells that they come from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ml_server.data.datasets import read_mapped, sample
from ml_server.data.mapping import FieldMapping, Report
from ml_server.data.mapping_schema import ColumnMapping
from ml_server.data.readings.rows import order_ids


@dataclass(frozen=True)
class ReadValue:
    """A value of an order, and the cells that it was read from, by column."""

    name: str
    value: Any
    cells: dict[str, str | None]


@dataclass(frozen=True)
class ReadOrder:
    """An order; `row` counts the rows of the file from 1, and is None if the order stands beyond the sample."""

    row: int | None
    values: tuple[ReadValue, ...]


def preview(path: Path, mapping: FieldMapping, count: int, report: Report) -> list[ReadOrder]:
    """Return the first orders of a file. The whole file is read, since it decides how columns are read.

    Raises TableError.
    """
    frame = sample(path, mapping.dialect)
    first: pa.Table | None = None
    for table in read_mapped(path, mapping, report):  # to the end: findings count the whole file
        if first is None or first.num_rows < count:
            first = table if first is None else pa.concat_tables([first, table])
    assert first is not None  # a file without orders is an error
    rows = first.slice(0, count).to_pylist()
    places = _places(mapping, frame, [row["transaction_id"] for row in rows])
    return [
        ReadOrder(None if place is None else place + 1, tuple(_values(mapping, row, frame, place)))
        for row, place in zip(rows, places, strict=True)
    ]


def _places(mapping: FieldMapping, frame: pd.DataFrame, ids: Sequence[str]) -> list[int | None]:
    """Return the row of the sample in which each order stands first."""
    if "transaction_id" in mapping.columns:
        by_id: dict[str, int] = {}
        for place, name in enumerate(order_ids(mapping, frame)):
            by_id.setdefault(str(name), place)
        return [by_id.get(name) for name in ids]
    rows = (int(name.removeprefix("row-")) - 1 for name in ids)
    return [row if row < len(frame) else None for row in rows]


def _values(mapping: FieldMapping, row: dict[str, Any], frame: pd.DataFrame, place: int | None) -> Iterator[ReadValue]:
    label = mapping.label.sources if mapping.label is not None else ()
    for name, value in row.items():
        source = mapping.columns.get(name) or mapping.extra_sources.get(name)
        columns: Sequence[str] = label if name == "is_abuse" else source.sources if source is not None else ()
        if isinstance(source, ColumnMapping) and source.fallback and place is not None:
            columns = [
                one for one in columns if one not in source.fallback or pd.isna(frame[source.joined[0]].iloc[place])
            ]
        cells = {
            column: None if place is None or pd.isna(cell := frame[column].iloc[place]) else str(cell)
            for column in columns
        }
        yield ReadValue(name, value, cells)
