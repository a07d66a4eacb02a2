"""Sheets of workbooks (.xlsx, .xls, .ods) as Arrow tables."""

import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from contract.extras import number_text
from contract.files.dialects import Dialect
from contract.files.errors import TableError


def read_sheet(path: Path, dialect: Dialect) -> tuple[pa.Table, list[str]]:
    """Return the rows under the header as a table, and what is to be said about it.

    A column of numbers is float64, one of dates or times a timestamp, any other one text. Raises TableError.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise TableError("is a workbook; install the library for it: pip install 'vouch[xlsx]'") from error
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))
        sheets = [dialect.sheet] if dialect.sheet is not None else book.sheet_names
        if missing := [name for name in sheets if name not in book.sheet_names]:
            raise TableError(f"there is no sheet {missing[0]}; there is {', '.join(book.sheet_names)}")
        used = {
            name: rows for name in sheets if (rows := book.get_sheet_by_name(name).to_python(skip_empty_area=False))
        }
    except CalamineError as error:
        raise TableError(f"is no workbook that can be read: {error}") from error
    if len(used) > 1:
        raise TableError(
            f"there are rows in the sheets {', '.join(used)}; choose one, as in dialect: {{sheet: {next(iter(used))}}}"
        )
    if not used:
        raise TableError("the file has no rows")
    ((name, rows),) = used.items()
    first = _header_row(rows) if dialect.skip is None else dialect.skip
    if first >= len(rows):
        raise TableError("the file has no rows")
    header = [_name(cell, number) for number, cell in enumerate(rows[first], 1)]
    below = [row for row in rows[first + 1 :] if any(cell not in ("", None) for cell in row)]
    width = max(
        (at for row in [rows[first], *below] for at, cell in enumerate(row, 1) if cell not in ("", None)), default=0
    )
    columns = [_column([row[at] for row in below]) for at in range(width)]
    notes = [f"sheet {name}"] + ([f"header after {first} rows"] if first else [])
    return pa.Table.from_arrays(columns, header[:width]), notes


def _header_row(rows: Sequence[Sequence[Any]]) -> int:
    """Return the index of the first row that has as many used cells as most rows have, or more."""
    counts = sorted(sum(cell not in ("", None) for cell in row) for row in rows[:200])
    usual = counts[len(counts) // 2]
    return next(
        (
            at
            for at, row in enumerate(rows)
            if sum(cell not in ("", None) for cell in row) >= max(1, usual)
            and all(isinstance(cell, str) for cell in row)
        ),
        0,
    )


def _name(cell: Any, number: int) -> str:
    return str(cell).strip() or f"column {number}"


def _column(cells: Sequence[Any]) -> pa.Array:
    known = [None if cell in ("", None) else cell for cell in cells]
    kinds = {type(cell) for cell in known if cell is not None}
    if kinds and kinds <= {float, int}:
        return pa.array([None if cell is None else float(cell) for cell in known], pa.float64())
    if kinds == {dt.datetime}:
        return pa.array(known, pa.timestamp("us"))
    return pa.array([None if cell is None else _text(cell) for cell in known], pa.string())


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float | int):
        return number_text(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ")
    return str(cell)
