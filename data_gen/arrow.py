"""Arrow arrays straight from memory.

`pa.array` imports pandas as soon as it is called, which takes longer than making a hundred thousand rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(values: NDArray[Any], wanted: pa.DataType) -> pa.Array:
    """An array of a fixed-width type without absent values."""
    raw = np.ascontiguousarray(
        values, dtype=wanted.to_pandas_dtype() if not pa.types.is_timestamp(wanted) else np.int64
    )
    return pa.Array.from_buffers(wanted, len(raw), [None, pa.py_buffer(raw)])


def flags(values: NDArray[Any]) -> pa.Array:
    """An array of booleans without absent values."""
    packed = np.packbits(values.astype(bool), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(packed)])


def texts(values: Sequence[str | None]) -> pa.Array:
    """A short array of text; None is absent."""
    encoded = [(value or "").encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    valid = np.packbits([value is not None for value in values], bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def fixed_texts(characters: NDArray[np.uint8]) -> pa.Array:
    """An array of texts of one length, given as bytes, shape (rows, length)."""
    rows, width = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters))]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def coded(codes: NDArray[Any], values: pa.Array) -> pa.Array:
    """Texts by their codes, as an array of plain text."""
    indices = numbers(codes, pa.int32())
    return pa.DictionaryArray.from_arrays(indices, values)
