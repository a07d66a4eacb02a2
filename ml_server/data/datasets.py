"""Datasets for training, evaluation and scoring: in Vouch's format, or in another format through a mapping."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from contract.fields import FIELDS, LABEL_WEIGHT, LABELS
from contract.files.dialects import FIND_ALL, Dialect
from contract.files.table_file import TableFile
from contract.schema import TYPES
from contract.tables import NULLS, TableError, read_batches, read_table
from ml_server.data.mapping import Conversion, FieldMapping, Report
from ml_server.features.feature_set import Extra

LABELLED = ("transaction_id", "timestamp", "user_id", "is_abuse")
SAMPLE = 20_000
_NULLS = (
    *NULLS, "N/A", "n/a", "#N/A", "#NA", "NULL", "<NA>", "-NaN", "-nan", "\\N", "NaT", "(null)", "<null>", "nil", "undefined",
    "#N/A N/A", "#NULL!", "#VALUE!", "#REF!", "#NAME?", "#DIV/0!",
)  # fmt: skip
"""Spellings of null of programs and databases."""


def read_dataset(path: Path, mapping: FieldMapping | None, report: Report) -> pa.Table:
    """Return a labelled table. Raises TableError with the place of the error."""
    if mapping is None:
        add_notes(path, report)
        return read_table(path, required=LABELLED)
    if mapping.label is None:
        raise TableError(f"{path}: the mapping has no label; training and evaluation need one")
    return pa.concat_tables(read_mapped(path, mapping, report))


def drop_unlabelled(table: pa.Table, report: Report) -> pa.Table:
    """Return the rows whose label is known; the mapping says which are not."""
    unknown = table.column("is_abuse").null_count
    if not unknown:
        return table
    report.add_line(f"label: {unknown:,} of {table.num_rows:,} orders have no known outcome and are left out")
    return table.filter(pc.is_valid(table.column("is_abuse")))


def add_notes(path: Path, report: Report) -> None:
    """Report what was found about a file that is not usual: its separator, its encoding, lines before its header."""
    for note in TableFile(path).notes:
        report.add_line(note)


def combine(tables: Sequence[pa.Table], weights: Sequence[float]) -> pa.Table:
    """Return several labelled tables as one; the rows of each get its weight, multiplied by their own."""
    weighted = []
    for table, weight in zip(tables, weights, strict=True):
        own = pa.array(np.full(table.num_rows, weight))
        if LABEL_WEIGHT in table.column_names:
            own = pc.multiply(pc.fill_null(table.column(LABEL_WEIGHT), 1.0), own)
            table = table.drop_columns([LABEL_WEIGHT])
        weighted.append(table.append_column(LABEL_WEIGHT, own))
    return pa.concat_tables(weighted, promote_options="default")


def read_for_scoring(path: Path, mapping: FieldMapping | None, extra: Extra, report: Report) -> Iterator[pa.Table]:
    """Yield tables of some rows, without labels."""
    if mapping is not None:
        yield from read_mapped(path, mapping.without_label(), report)
        return
    add_notes(path, report)
    types = {name: kind for name, kind in TYPES.items() if name in FIELDS and name not in LABELS}
    types |= dict.fromkeys(extra.numeric, pa.float64()) | dict.fromkeys(extra.categorical, pa.string())
    for batch in read_batches(path, types=types):
        yield pa.Table.from_batches([batch])


def read_mapped(path: Path, mapping: FieldMapping, report: Report) -> Iterator[pa.Table]:
    """Yield a file of another format in pieces, converted by its mapping; findings are added to `report`."""
    file = TableFile(path, mapping.dialect)
    for note in file.notes:
        report.add_line(note)

    def frames(columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        return _pieces(file, columns, mapping.nulls)

    try:
        yield from Conversion(mapping, frames, file.names, report).tables()
    except TableError as error:
        raise error if str(error).startswith(f"{path}: ") else TableError(f"{path}: {error}") from error
    except (ValueError, OverflowError, OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error


def sample(path: Path, dialect: Dialect = FIND_ALL) -> pd.DataFrame:
    """Return the first SAMPLE rows of a file of another format, texts as texts. Raises TableError."""
    file = TableFile(path, dialect)
    try:
        frame = next((frame for frame in _pieces(file, None, ()) if len(frame)), None)
    except (ValueError, OverflowError, OSError, pa.ArrowException) as error:
        raise (
            error
            if isinstance(error, TableError)
            else TableError(f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        ) from error
    if frame is None:
        raise TableError(f"{path}: the file has no rows")
    return frame.head(SAMPLE)


def _pieces(file: TableFile, columns: Sequence[str] | None, nulls: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield columns in pieces. Texts have no surrounding spaces; spellings of null are missing, but not in Parquet."""
    absent = pa.array(sorted({"", *nulls} if file.has_nulls else {*_NULLS, *nulls}))
    for batch in file.batches(columns):
        arrays = [_without_nulls(array, absent) for array in batch.columns]
        table = pa.Table.from_arrays(arrays, batch.schema.names)
        yield table.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)


def _without_nulls(array: pa.Array, absent: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return array
    texts = pc.utf8_trim_whitespace(array.cast(pa.string()))
    return pc.if_else(pc.is_in(texts, absent), pa.scalar(None, pa.string()), texts)
