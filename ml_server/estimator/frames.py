"""Data frames of pandas, polars and Arrow, to and from the typed tables that models read."""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from contract.fields import FIELDS, LABEL_WEIGHT, LABELS
from contract.schema import TYPES
from contract.tables import TableError, typed_batch

Frame = Any
"""A pandas.DataFrame, a polars.DataFrame, a pyarrow.Table or a pyarrow.RecordBatch."""
_FRAME: Final = Path("frame")
_KNOWN: Final = (*FIELDS, *LABELS, LABEL_WEIGHT)


def to_arrow(frame: Frame) -> pa.Table:
    """Return a frame as an Arrow table, columns as they are. Raises TypeError for anything else than a frame."""
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if isinstance(frame, pd.DataFrame):
        return pa.Table.from_pandas(_with_text(frame), preserve_index=False)
    if hasattr(frame, "to_arrow"):
        table: pa.Table = frame.to_arrow()
        return table
    raise TypeError(f"a frame of pandas, polars or Arrow is needed, not {type(frame).__name__}")


def to_orders(frame: Frame, *, required: Sequence[str], extra: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Return a frame as a typed table of orders, with the documented columns and those in `extra`.

    Other columns are left out, with a warning. Raises ValueError that names the row and the column of a value that cannot be
    read, or a required column that is missing.
    """
    table, types = to_arrow(frame), TYPES | dict(extra or {})
    if missing := [name for name in required if name not in table.column_names]:
        raise TableError(f"column {', '.join(missing)} is missing; the frame has {', '.join(table.column_names[:50])}")
    _warn_of_unknown(table.column_names, types)
    known = table.select([name for name in table.column_names if name in types]).combine_chunks()
    batches = known.to_batches() or [pa.RecordBatch.from_pylist([], known.schema)]
    return pa.Table.from_batches([typed_batch(_FRAME, 0, batch, types) for batch in batches])


def like(frame: Frame, table: pa.Table) -> Frame:
    """Return an Arrow table as the kind of frame that another one is; a pandas frame keeps its index."""
    if isinstance(frame, pd.DataFrame):
        result = table.to_pandas()
        result.index = frame.index
        return result
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return table
    return type(frame)(table)


def _with_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose columns of mixed objects are text, which Arrow would refuse."""
    mixed = [
        name
        for name in frame.columns
        if frame[name].dtype == object and pd.api.types.infer_dtype(frame[name]) == "mixed"
    ]
    return frame.astype(dict.fromkeys(mixed, "string")) if mixed else frame


def _warn_of_unknown(names: Sequence[str], types: Mapping[str, pa.DataType]) -> None:
    unknown = [name for name in names if name not in types]
    if not unknown:
        return
    parts = []
    for name in unknown[:8]:
        near = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.8)
        parts.append(f"{name} (did you mean {near[0]}?)" if near else name)
    warnings.warn(f"columns that are not read: {', '.join(parts)}", stacklevel=4)
