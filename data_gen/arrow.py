"""Constructors of Arrow arrays from memory.

`pa.array` imports pandas on its first call, which takes longer than generating a hundred thousand rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(values: NDArray[Any], wanted: pa.DataType) -> pa.Array:
    """Return an array of a fixed-width type without absent values."""
    raw = np.ascontiguousarray(
        values, dtype=wanted.to_pandas_dtype() if not pa.types.is_timestamp(wanted) else np.int64
    )
    return pa.Array.from_buffers(wanted, len(raw), [None, pa.py_buffer(raw)])


def flags(values: NDArray[Any]) -> pa.Array:
    """Return an array of booleans without absent values."""
    packed = np.packbits(values.astype(bool), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(packed)])


def texts(values: Sequence[str | None]) -> pa.Array:
    """Return a short array of text; None is absent."""
    encoded = [(value or "").encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    valid = np.packbits([value is not None for value in values], bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def fixed_texts(characters: NDArray[np.uint8]) -> pa.Array:
    """Return an array of equally long texts, given as bytes, shape (rows, length)."""
    rows, width = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters))]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


class CodedTexts:
    """Texts by code. Several codes may have the same text; None is absent."""

    def __init__(self, values: Sequence[str | None]) -> None:
        # Parquet encodes a dictionary with duplicate texts in more than one way, and the bytes would differ.
        known = {text: code for code, text in enumerate(dict.fromkeys(text for text in values if text is not None))}
        self._dictionary = texts(list(known))
        self._place = np.array([-1 if text is None else known[text] for text in values], dtype=np.int32)

    def encode(self, codes: NDArray[Any]) -> pa.Array:
        """Return the texts of codes as a dictionary array."""
        places = self._place[codes]
        # Absent values are marked in the codes: Parquet accepts none in the dictionary.
        absent = bool((self._place < 0).any())
        valid = pa.py_buffer(np.packbits(places >= 0, bitorder="little")) if absent else None
        buffers = [valid, pa.py_buffer(np.maximum(places, 0))]
        indices = pa.Array.from_buffers(pa.int32(), len(places), buffers)
        return pa.DictionaryArray.from_arrays(indices, self._dictionary)


def unpack(array: pa.Array) -> NDArray[Any]:
    """Return the values of an array of numbers, flags or times; as float64 with NaN if values are absent.

    `to_numpy` would import pandas, like `pa.array`.
    """
    first, rows, (validity, data) = array.offset, len(array), array.buffers()[-2:]
    if pa.types.is_boolean(array.type):
        result: NDArray[Any] = _bits(data, first, rows)
    else:
        kind = np.int64 if pa.types.is_timestamp(array.type) else array.type.to_pandas_dtype()
        result = np.frombuffer(data, dtype=kind)[first : first + rows] if rows else np.empty(0, dtype=kind)
    if array.null_count:
        result = np.where(_bits(validity, first, rows).astype(bool), result.astype(np.float64), np.nan)
    return result


def _bits(buffer: pa.Buffer | None, first: int, rows: int) -> NDArray[np.uint8]:
    if buffer is None or not rows:
        return np.ones(rows, dtype=np.uint8)
    return np.unpackbits(np.frombuffer(buffer, dtype=np.uint8), bitorder="little", count=first + rows)[first:]
