"""Parsing of human-readable values: money, booleans, times. Unreadable values are missing. Pure."""

import math
import re
from typing import Any, Final

import numpy as np
import pandas as pd

from contract.tables import TRUE

Series = pd.Series  # pandas has no types here
FLAGS: Final = {
    **dict.fromkeys([*TRUE, "yes", "y", "t"], True),
    **dict.fromkeys(["false", "0", "0.0", "no", "n", "f"], False),
}
_CURRENCY = r"(?:[A-Za-z]{1,3}|[^\w\s.,()+-]{1,3})?"
_MONEY = re.compile(
    rf"\s*([-+\u2212(]?)\s*{_CURRENCY}\s*([-+\u2212]?)\s*(\d[\d.,\s'\u2019]*|[.,]\d+)\s*{_CURRENCY}\s*([-\u2212)]?)\s*"
)
_MAX_LENGTH = 64
_MAX_SECONDS = 100 * 365.25 * 86_400  # from the origin: no shop is older
_SPACES = re.compile(r"[\s'\u2019]")
_GROUPS = {",": re.compile(r"\d{1,3}(,\d{3})+"), ".": re.compile(r"\d{1,3}(\.\d{3})+")}


def money(text: str, decimal: str = ".") -> float:
    """Parse a number with currency signs, thousands separators and either decimal sign; NaN for anything else.

    "$1,234.50" is 1234.5; "1.234,56 EUR" is unambiguously 1234.56; "1,234" depends on `decimal`.
    """
    match = _MONEY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        return math.nan
    digits = _SPACES.sub("", match[3])
    thousands = "," if decimal == "." else "."
    if {",", "."} <= set(digits):
        thousands = "," if digits.rfind(".") > digits.rfind(",") else "."
    elif thousands in digits and not _GROUPS[thousands].fullmatch(digits):
        thousands = "," if thousands == "." else "."
    whole, _, rest = digits.partition("," if thousands == "." else ".")
    if thousands in whole and not _GROUPS[thousands].fullmatch(whole):
        return math.nan
    if rest and not rest.isdigit():
        return math.nan
    number = float(f"{whole.replace(thousands, '') or '0'}.{rest or '0'}")
    return -number if {match[1], match[2], match[4]} & {"-", "\u2212", "("} else number


def numbers(series: "Series[Any]", decimal: str = ".") -> "Series[Any]":
    """Return a column as float64, NaN for everything that is not a finite number."""
    if decimal == "." or pd.api.types.is_numeric_dtype(series.dtype):
        result = pd.to_numeric(series, errors="coerce").astype("Float64").to_numpy(dtype="float64", na_value=np.nan)
    else:
        result = np.full(len(series), np.nan)
    result = np.where(np.isinf(result), np.nan, result)
    left = np.isnan(result) & series.notna().to_numpy()
    if left.any():
        result[left] = [money(text, decimal) if isinstance(text, str) else np.nan for text in series[left]]
    return pd.Series(result, index=series.index)


def ambiguous_thousands(texts: "Series[Any]") -> "Series[Any]":
    """Return which texts may be thousands (1.234), in a column that elsewhere has a decimal comma (12,50)."""
    texts = texts.astype("string").str.strip()
    if not texts.str.contains(r"\d,\d{1,2}\D*$", na=False).any():
        return pd.Series(False, index=texts.index)
    return texts.str.contains(r"^\D*\d{1,3}\.\d{3}\D*$", na=False).astype(bool)


def flags(series: "Series[Any]") -> "Series[Any]":
    """Return a column as booleans."""
    return series.astype("string").str.strip().str.lower().map(FLAGS).astype("boolean")


def times(
    series: "Series[Any]", time_format: str | None = None, unit: str | None = None, since: object = "1970-01-01"
) -> "Series[Any]":
    """Return a column as times in UTC, to the microsecond. Numbers need a unit, texts may need a format."""
    if unit is not None:
        one: Any = pd.Timedelta(1, unit=unit)  # type: ignore[arg-type]
        start = pd.Timestamp(str(since))
        counted = numbers(series)
        counted = counted.mask((counted * one.total_seconds()).abs() > _MAX_SECONDS)  # pandas would raise
        after: Any = pd.to_timedelta(counted * one.total_seconds(), unit="s")
        result: Series[Any] = start.as_unit("ns") + after.dt.round("us")
        return result
    parsed: Series[Any] = pd.to_datetime(series, errors="coerce", format=time_format, utc=True)
    naive: Series[Any] = parsed.dt.tz_localize(None)
    return naive
