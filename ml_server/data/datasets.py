"""Datasets for training, evaluation and scoring: in Vouch's format, or in another format through a mapping."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract.fields import FIELDS, LABEL_WEIGHT, LABELS
from contract.schema import TYPES
from contract.tables import NULLS, TableError, column_names, read_as_text, read_batches, read_table
from enrichment.money import Money
from enrichment.money_tables import table_in_base, unknown_currencies
from ml_server.data.mapping import Conversion, FieldMapping, Report
from ml_server.features.feature_set import Extra

LABELLED = ("transaction_id", "timestamp", "user_id", "is_abuse")
ROWS = 65_536
SAMPLE = 20_000
_NULLS = (*NULLS, "N/A", "n/a", "#N/A", "#NA", "NULL", "<NA>", "-NaN", "-nan")  # common spellings of null


def read_dataset(path: Path, mapping: FieldMapping | None, report: Report, money: Money) -> pa.Table:
    """Return a labelled table with all amounts in the base currency. Raises TableError with the place of the error."""
    if mapping is None:
        return _in_base(read_table(path, required=LABELLED), money, report)
    if mapping.label is None:
        raise TableError("the mapping has no label; training and evaluation need one")
    return _in_base(pa.concat_tables(read_mapped(path, mapping, report)), money, report)


def _in_base(table: pa.Table, money: Money, report: Report) -> pa.Table:
    """Return a table with all amounts in the base currency; report currencies without a rate."""
    for currency, rows in unknown_currencies(table, money).items():
        report.lines.append(f"amounts in {currency} are unknown in {rows:,} rows: there is no exchange rate")
    return table_in_base(table, money)


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


def read_for_scoring(
    path: Path, mapping: FieldMapping | None, extra: Extra, report: Report, money: Money
) -> Iterator[pa.Table]:
    """Yield tables of at most ROWS rows, with all amounts in the base currency, without labels."""
    if mapping is not None:
        yield from (table_in_base(table, money) for table in read_mapped(path, replace(mapping, label=None), report))
        return
    types = {name: kind for name, kind in TYPES.items() if name in FIELDS and name not in LABELS}
    types |= dict.fromkeys(extra.numeric, pa.float64()) | dict.fromkeys(extra.categorical, pa.string())
    for batch in read_batches(path, types=types):
        yield table_in_base(pa.Table.from_batches([batch]), money)


def read_mapped(path: Path, mapping: FieldMapping, report: Report) -> Iterator[pa.Table]:
    """Yield a file of another format in pieces, converted by its mapping; findings are added to `report`."""
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    conversion = Conversion(mapping, report)
    try:
        column_names(path)  # raises TableError for duplicates
        for frame in _pieces(path):
            if len(frame):
                yield conversion.table(frame)
        conversion.finish()
    except TableError as error:
        raise TableError(f"{path}: {error}") from error
    except (ValueError, OverflowError, OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    if not conversion.rows:
        raise TableError(f"{path}: the file has no rows")


def sample(path: Path) -> pd.DataFrame:
    """Return the first SAMPLE rows of a file of another format, texts as texts. Raises TableError."""
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    column_names(path)
    try:
        frame = next((frame for frame in _pieces(path) if len(frame)), None)
    except (ValueError, OverflowError, OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    if frame is None:
        raise TableError(f"{path}: the file has no rows")
    return frame.head(SAMPLE)


def _pieces(path: Path) -> Iterator[pd.DataFrame]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS):
                yield batch.to_pandas()
        return
    for batch in read_as_text(path, nulls=_NULLS):
        yield batch.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)
