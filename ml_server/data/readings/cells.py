"""Cells of a source: its columns joined, its fallback, its values translated; as texts where texts are needed."""

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from contract.extras import number_text
from ml_server.data.mapping_schema import ColumnMapping
from ml_server.data.readings.flags import FLAGS
from ml_server.data.report import Report, count_values

Series = pd.Series  # pandas has no types here
_DASHES: Final = ("-", "--", "\u2013", "\u2014")
"""An empty cell, in columns of numbers and times."""


def read_cells(name: str, source: ColumnMapping, frame: pd.DataFrame, report: Report | None) -> "Series[Any]":
    """Return the cells of a source, translated by its `values`; those that are no key of it are reported and missing."""
    cells = _join(source, frame)
    for other in source.fallback or ():
        texts = trim(cells)
        cells = texts.where(texts.notna(), to_string(frame[other]))
    return cells if source.values is None else _translate(name, source, cells, report)


def _join(source: ColumnMapping, frame: pd.DataFrame) -> "Series[Any]":
    first, *others = source.joined
    cells: Series[Any] = frame[first]
    for other in others:
        cells = to_string(cells).str.strip() + " " + to_string(frame[other]).str.strip()
    return cells


def _translate(name: str, source: ColumnMapping, cells: "Series[Any]", report: Report | None) -> "Series[Any]":
    known: dict[str, Any] = {}
    for key, value in (source.values or {}).items():
        known[str(key)] = value
        if isinstance(key, bool):  # YAML reads yes as true
            known |= {
                word: value
                for text, flag in FLAGS.items()
                if flag is key
                for word in (text, text.title(), text.upper())
            }
    text = to_string(cells).str.strip()
    left = text.notna() & ~text.isin(list(known))
    if report is not None:
        report.add_finding(
            source.column, int(left.sum()), len(cells), f"are not in the mapping's values for {name}",
            count_values(text[left]), "add them, with null for unknown",
        )  # fmt: skip
    return text.map(known)


def trim(cells: "Series[Any]") -> "Series[Any]":
    """Return cells as texts without surrounding spaces; empty ones are missing."""
    texts = to_string(cells).str.strip()
    return texts.mask(texts == "")


def to_string(cells: "Series[Any]") -> "Series[Any]":
    """Return cells as texts: whole numbers without a fraction, as requests have them, though gaps made them 3.0."""
    if pd.api.types.is_float_dtype(cells.dtype):
        finite = cells.astype("float64").where(np.isfinite(cells.astype("float64")))
        return finite.map(number_text, "ignore").astype("string")
    if cells.dtype == object:  # dates and times of Parquet, or numbers of several kinds
        return cells.map(
            lambda cell: number_text(cell) if isinstance(cell, float) and np.isfinite(cell) else cell
        ).astype("string")
    return cells.astype("string")


def to_texts(cells: "Series[Any]") -> pa.Array:
    """Return cells as Arrow texts without surrounding spaces; empty ones and dashes are null."""
    texts = pc.utf8_trim_whitespace(pa.array(to_string(cells), pa.string(), from_pandas=True))
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return pc.if_else(pc.is_in(texts, pa.array(["", *_DASHES])), pa.scalar(None, pa.string()), texts)


def is_typed(cells: "Series[Any]") -> bool:
    """Return whether a column has numbers, flags or times already, so that there is nothing to read."""
    return pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_datetime64_any_dtype(cells.dtype)
