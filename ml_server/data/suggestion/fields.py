"""Decides whether the values of a column can be those of a field, and with which options. Pure."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from contract.fields import FIELDS
from contract.tables import TableError
from ml_server.data.mapping_schema import Decimal
from ml_server.data.readings.cells import to_texts
from ml_server.data.readings.numbers import NumberSurvey
from ml_server.data.readings.times import TimeSurvey
from ml_server.data.suggestion.aliases import WORDS, simple
from ml_server.data.suggestion.guess import ENOUGH
from ml_server.data.values import FLAGS, Series, numbers

_SAMPLE: Final = 2000
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
        return None if found is None else (f"{reason}; {_describe_format(found, column, series)}", found)
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
    decimal, question = find_decimal(column, known)
    read = numbers(known, decimal)
    if read.notna().mean() < ENOUGH or (read < 0).mean() > 1 - ENOUGH:
        return None
    options: dict[str, Any] = {"decimal": decimal} if decimal == "," else {}
    if question:
        return f"{reason}; {question}", options
    if name == "order_amount" and "cent" in simple(column) and (read.dropna() % 1 == 0).all():
        options["scale"] = 0.01
        reason += "; whole cents"
    return f"{reason}; numbers from {read.min():g} to {read.max():g}", options


def find_decimal(column: str, known: "Series[Any]") -> tuple[Decimal, str]:
    """Return the decimal sign of a column, and the question that its values leave open, if any."""
    if pd.api.types.is_numeric_dtype(known.dtype):
        return ".", ""
    survey = NumberSurvey()
    survey.add(to_texts(known).drop_null())
    try:
        return survey.decide("it", column), ""
    except TableError as error:
        return ".", str(error).removeprefix(f"column {column}: ")


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
    survey, texts = TimeSurvey(), to_texts(known.head(_SAMPLE)).drop_null()
    survey.add(texts)
    try:
        reading = survey.decide("timestamp", "")
    except TableError:
        return _in_order(texts)
    if reading is None or np.isnat(reading.read(texts)[0]).mean() > 1 - ENOUGH:
        return None
    return {"format": reading.order} if reading.order else {}


def _in_order(texts: pa.Array) -> dict[str, Any] | None:
    """Return the one order of day and month that puts the rows of an export in order of time; `{}` if none or both do.

    None if the texts are no times.
    """
    possible, ordered = False, []
    for order in ("dmy", "mdy"):
        survey = TimeSurvey(order)
        survey.add(texts)
        with contextlib.suppress(TableError):
            reading = survey.decide("timestamp", "")
            times = reading.read(texts)[0] if reading else np.array([], "datetime64[us]")
            if reading and not np.isnat(times).any():
                possible = True
                steps = np.diff(times).astype(np.int64)
                if (steps >= 0).all() or (steps <= 0).all():
                    ordered.append(order)
    if not possible:
        return None
    return {"format": ordered[0]} if len(ordered) == 1 else {}


def _describe_format(options: Mapping[str, Any], column: str, series: "Series[Any]") -> str:
    if "since" in options:
        return "small numbers, assumed to be seconds since a day that you have to set"
    if "unit" in options:
        return f"numbers in the range of {options['unit']} since 1970"
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return "times"
    survey = TimeSurvey()
    survey.add(to_texts(series.dropna().head(_SAMPLE)).drop_null())
    try:
        reading = survey.decide("timestamp", column)
    except TableError as error:
        order = f", read as {options['format']} since that puts the rows in order" if options else ""
        return f"check day and month{order}: {str(error).removeprefix(f'column {column}: ')}"
    return f"times, {reading.describe()}" if reading else "times"
