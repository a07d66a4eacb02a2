"""Decides whether the values of a column can be those of a field, and with which options. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from contract.fields import FIELDS
from ml_server.data.suggestion.aliases import WORDS, simple
from ml_server.data.suggestion.guess import ENOUGH, as_text
from ml_server.data.values import FLAGS, Series, numbers, times

FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%Y%m%d%H%M%S",
    "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d/%m/%y %H:%M:%S", "%d/%m/%y %H:%M", "%d/%m/%y", "%d.%m.%y %H:%M",
    "%d.%m.%y", "%m/%d/%y %H:%M:%S", "%m/%d/%y %H:%M", "%m/%d/%y", "%b %d, %Y %I:%M:%S %p",
    "%b %d, %Y, %I:%M:%S %p", "%b %d, %Y, %I:%M %p", "%b %d, %Y",
    "%d %b %Y %H:%M:%S", "%d %b %Y %H:%M", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y",
)  # fmt: skip
_UNITS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
_SHAPES = {
    "currency": r"[A-Za-z]{3}", "ip_country": r"[A-Za-z]{2}", "card_country": r"[A-Za-z]{2}", "billing_country": r"[A-Za-z]{2}",
    "shipping_country": r"[A-Za-z]{2}", "card_bin": r"\d{6}",
    "ip_address": r"(?:\d{1,3}|x{1,3})(?:\.(?:\d{1,3}|x{1,3})){3}|(?=.*:)[0-9a-fA-F:.]{2,45}",
    "email_domain": r".*[^\s@]+\.[^\s@.]+\.?",
}  # fmt: skip


def match_field(name: str, column: str, series: "Series[Any]") -> tuple[str, dict[str, Any]] | None:
    """Return reason and options if a column's values can be those of a field, else None."""
    known, kind = series.dropna(), FIELDS[name].kind
    if known.empty:
        return None
    texts = known.astype("string").str.strip()
    reason = "the name is the field's" if column == name else f"{column!r} is a common name for it"
    if kind == "time":
        found = find_time_format(series, count=name == "timestamp")
        return None if found is None else (f"{reason}; {_describe_format(found, series)}", found)
    if kind in ("number", "count"):
        return _number(name, column, known, reason)
    if kind == "flag":
        share = texts.str.lower().isin(list(FLAGS)).mean()
        return (f"{reason}; yes and no", {}) if share >= ENOUGH else None
    if kind == "enum":
        return _enum(name, texts, reason)
    shape = _SHAPES.get(name)
    if shape and texts.str.fullmatch(shape).mean() < ENOUGH:
        return None
    if name == "transaction_id" and (series.isna().any() or not series.is_unique):
        return None
    if name == "user_id" and series.isna().any():
        return None
    return reason, {}


def _number(name: str, column: str, known: "Series[Any]", reason: str) -> tuple[str, dict[str, Any]] | None:
    options: dict[str, Any] = {}
    if with_decimal_comma(known):
        options["decimal"] = ","
    read = numbers(known, options.get("decimal", "."))
    if read.notna().mean() < ENOUGH or (read < 0).mean() > 1 - ENOUGH:
        return None
    if name == "order_amount" and "cent" in simple(column) and (read.dropna() % 1 == 0).all():
        options["scale"] = 0.01
        reason += "; whole cents"
    return f"{reason}; numbers from {read.min():g} to {read.max():g}", options


def with_decimal_comma(known: "Series[Any]") -> bool:
    """Return whether a column of texts contains numbers with a decimal comma."""
    if pd.api.types.is_numeric_dtype(known.dtype):
        return False
    return bool(known.astype("string").str.contains(r"\d,\d{1,2}\D*$", na=False).any())


def _enum(name: str, texts: "Series[Any]", reason: str) -> tuple[str, dict[str, Any]] | None:
    allowed, words = FIELDS[name].numbers, WORDS.get(name, {})
    values = list(texts.value_counts().index[:30])
    if texts.nunique() > 30:
        return None
    mapped = {value: simple(value) if simple(value) in allowed else words.get(simple(value)) for value in values}
    if not any(mapped.values()):
        return None
    if all(value == target for value, target in mapped.items()):
        return f"{reason}; its values are the field's", {}
    return f"{reason}; values translated, null is unknown", {"values": mapped}


def find_time_format(series: "Series[Any]", count: bool = False) -> dict[str, Any] | None:
    """Return options to read a column as times, or None. `count` allows small numbers: seconds since an origin."""
    known = series.dropna()
    if known.empty or pd.api.types.is_bool_dtype(known.dtype):
        return None
    if pd.api.types.is_datetime64_any_dtype(known.dtype):
        return {}
    read = numbers(known)
    if read.notna().mean() >= ENOUGH and not known.astype("string").str.fullmatch(r"\d{8}|\d{14}").all():
        middle = float(read.median())
        for least, unit in _UNITS:
            if middle >= least:
                return {"unit": unit}
        return {"unit": "s", "since": "2024-01-01"} if count and read.min() >= 0 and read.nunique() > 2 else None
    sample = known.astype("string").head(2000)
    for candidate in FORMATS:
        if times(sample, candidate).notna().mean() >= ENOUGH:
            return {"format": _ordered(sample, candidate)}
    return {} if sample.str.contains(r"\d{4}-\d\d-\d\d", na=False).all() and times(sample).notna().all() else None


def _swapped(time_format: str) -> str:
    """Return a format with day and month exchanged."""
    return time_format.replace("%d", "%%").replace("%m", "%d").replace("%%", "%m")


def _ordered(sample: "Series[Any]", day_first: str) -> str:
    """Return a format, or the one with day and month exchanged if only that puts an export's rows in order of time."""
    other = _swapped(day_first)
    if not day_first.startswith("%d/%m") or times(sample, other).notna().mean() < ENOUGH:
        return day_first
    ordered = [
        read.is_monotonic_increasing or read.is_monotonic_decreasing
        for read in (times(sample, one).dropna() for one in (day_first, other))
    ]
    return other if ordered == [False, True] else day_first


def _describe_format(options: Mapping[str, Any], series: "Series[Any]") -> str:
    if "since" in options:
        return "small numbers, assumed to be seconds since a day that you have to set"
    if "unit" in options:
        return f"numbers in the range of {options['unit']} since 1970"
    found = options.get("format", "")
    if found.startswith(("%d/%m", "%m/%d")):
        first, other = as_text(series).iloc[0], _swapped(found)
        if times(as_text(series).head(2000), other).notna().mean() >= ENOUGH:
            one, two = (times(pd.Series([first]), form).iloc[0].date() for form in (found, other))
            return f"day and month are ambiguous: {first!r} is {one} with format {found}, {two} with {other}; check it"
    return f"times in the format {options.get('format', 'ISO 8601')}"
