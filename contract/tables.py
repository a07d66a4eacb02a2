"""Reader for transaction files of any kind, as typed batches. Errors name row and column."""

import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from contract.extras import number_text
from contract.fields import CARD_ID, CARD_ID_RULE, CARD_NUMBER, FIELDS, REQUIRED
from contract.files.errors import TableError
from contract.files.table_file import TableFile, explain
from contract.schema import TYPES

__all__ = ["FALSE", "NULLS", "TRUE", "TableError", "column_names", "read_batches", "read_table", "typed_batch"]

TRUE, FALSE = ["true", "True", "TRUE", "1", "1.0"], ["false", "False", "FALSE", "0", "0.0"]
NULLS = ["", "NA", "NaN", "nan", "null", "None"]


def read_batches(
    path: Path, *, required: tuple[str, ...] = REQUIRED, types: dict[str, pa.DataType] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the file's batches: known columns in their types, others omitted.

    Raises TableError if the file is missing, broken, mistyped or lacks a required column.
    """
    types = TYPES if types is None else types
    file = TableFile(path)
    names = file.names
    if missing := [name for name in required if name not in names]:
        raise TableError(f"{path}: column {', '.join(missing)} is missing; the file has {', '.join(names[:50])}")
    first = 1
    # Texts are read as text first, so that an error can name the row and one bad cell does not hide the next.
    for batch in file.batches([name for name in names if name in types], NULLS, newlines=False):
        try:
            yield typed_batch(path, first, batch, types)
        except pa.ArrowException as error:
            raise TableError(explain(path, error)) from error
        first += batch.num_rows


def typed_batch(path: Path, first: int, batch: pa.RecordBatch, types: dict[str, pa.DataType]) -> pa.RecordBatch:
    """Return a batch with its columns in their types; `first` is the number of its first row. Raises TableError."""
    names = batch.schema.names
    columns = [_convert(path, first, name, batch.column(name), types[name]) for name in names]
    typed = pa.RecordBatch.from_arrays(columns, names)
    _check(path, first, typed)
    return typed


def read_table(
    path: Path, *, required: tuple[str, ...] = REQUIRED, types: dict[str, pa.DataType] | None = None
) -> pa.Table:
    """Return the whole file as one table; see read_batches."""
    batches = list(read_batches(path, required=required, types=types))
    if not batches or not sum(batch.num_rows for batch in batches):
        raise TableError(f"{path}: the file has no rows")
    return pa.Table.from_batches(batches)


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns; raise TableError for a duplicate."""
    return TableFile(path).names


def _convert(path: Path, first: int, name: str, column: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == wanted:
        return column
    if pa.types.is_floating(column.type) and pa.types.is_string(wanted):
        numbers = column.to_pylist()  # formatted as in requests: Arrow would write 1e+15 and -0
        return pa.array([number_text(n) if n is not None and math.isfinite(n) else None for n in numbers], wanted)
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return _cast(path, first, name, column, wanted)
    if pa.types.is_boolean(wanted):
        known = pc.is_in(column, pa.array([*TRUE, *FALSE]))
        _reject(path, first, name, column, pc.and_(pc.invert(known), pc.is_valid(column)), "true or false")
        return pc.if_else(pc.is_valid(column), pc.is_in(column, pa.array(TRUE)), pa.scalar(None, pa.bool_()))
    if pa.types.is_timestamp(wanted):
        column = pc.replace_substring_regex(column, r"(Z|\+00:00)$", "")
        column = pc.replace_substring_regex(column, r"\.\d+$", "")
    return _cast(path, first, name, column, wanted)


def _cast(path: Path, first: int, name: str, column: pa.Array, wanted: pa.DataType) -> pa.Array:
    try:
        return column.cast(wanted, safe=not pa.types.is_timestamp(wanted))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        for row in range(len(column)):  # find the first invalid cell
            try:
                column.slice(row, 1).cast(wanted)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise TableError(
                    f"{_place(path, first + row, name)}: {column[row].as_py()!r} is not a valid {wanted}"
                ) from error
        raise


def _check(path: Path, first: int, batch: pa.RecordBatch) -> None:
    """Check rules beyond types: required values, whole counts, known enum names."""
    for name in batch.schema.names:
        column, field = batch.column(name), FIELDS.get(name)
        if name in REQUIRED and column.null_count:
            _reject(path, first, name, column, pc.is_null(column), "a value")
        if name == CARD_ID:
            _reject_card_numbers(path, first, column)
        if field and field.kind == "enum" and pa.types.is_string(column.type):
            known = pc.is_in(column, pa.array(field.numbers))
            _reject(path, first, name, column, pc.and_(pc.invert(known), pc.is_valid(column)), ", ".join(field.numbers))
        if field and field.kind in ("count", "number") and pa.types.is_floating(column.type):
            bad = pc.or_(pc.less(column, 0), pc.invert(pc.is_finite(column)))
            if field.kind == "count":
                bad = pc.or_(bad, pc.not_equal(column, pc.floor(column)))
            _reject(path, first, name, column, bad, "0 or more" + (", whole" if field.kind == "count" else ""))


def _reject(path: Path, first: int, name: str, column: pa.Array, bad: pa.Array, wanted: str) -> None:
    where = pc.index(pc.fill_null(bad, False), True).as_py()
    if where >= 0:
        raise TableError(f"{_place(path, first + where, name)}: {column[where].as_py()!r}; expected {wanted}")


def _reject_card_numbers(path: Path, first: int, column: pa.Array) -> None:
    """Raise TableError for the first value that is a card number. The message does not quote it."""
    row = pc.index(pc.match_substring_regex(column, CARD_NUMBER), True).as_py()
    if row >= 0:
        raise TableError(f"{_place(path, first + row, CARD_ID)}: {CARD_ID_RULE}")


def _place(path: Path, row: int, name: str) -> str:
    return f"{path}: row {row}, column {name}"
