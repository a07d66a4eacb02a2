"""Values of columns of texts: numbers, times, yes and no. Unreadable values are missing. Pure."""

from typing import Any

import pandas as pd

from ml_server.data.readings.cells import to_texts
from ml_server.data.readings.flags import FLAGS, read_flags
from ml_server.data.readings.numbers import read_numbers
from ml_server.data.readings.times import read_counted, read_formatted

__all__ = ["FLAGS", "Series", "flags", "numbers", "times"]
Series = pd.Series  # pandas has no types here
flags = read_flags


def numbers(series: "Series[Any]", decimal: str = ".") -> "Series[Any]":
    """Return a column as float64, NaN for everything that is not a finite number with this decimal sign."""
    if pd.api.types.is_numeric_dtype(series.dtype):
        plain: Series[Any] = series.astype("Float64").astype("float64")
        return plain.where(plain.abs() != float("inf"))
    return pd.Series(read_numbers(to_texts(series), decimal), index=series.index)


def times(
    series: "Series[Any]", time_format: str = "ISO8601", unit: str | None = None, since: object = "1970-01-01"
) -> "Series[Any]":
    """Return texts as times by a strptime format, in UTC if it has a zone, or numbers by a unit."""
    if unit is not None:
        return pd.Series(read_counted(numbers(series).to_numpy(), unit, since), index=series.index)
    return pd.Series(read_formatted(series.astype("string"), time_format)[0], index=series.index)
