"""Values of columns of texts: numbers, yes and no. Unreadable values are missing. Pure."""

from typing import Any

import pandas as pd

from ml_server.data.readings.cells import to_texts
from ml_server.data.readings.flags import FLAGS
from ml_server.data.readings.numbers import read_numbers

__all__ = ["FLAGS", "Series", "numbers"]
Series = pd.Series  # pandas has no types here


def numbers(series: "Series[Any]", decimal: str = ".") -> "Series[Any]":
    """Return a column as float64, NaN for everything that is not a finite number with this decimal sign."""
    if pd.api.types.is_numeric_dtype(series.dtype):
        plain: Series[Any] = series.astype("Float64").astype("float64")
        return plain.where(plain.abs() != float("inf"))
    return pd.Series(read_numbers(to_texts(series), decimal), index=series.index)
