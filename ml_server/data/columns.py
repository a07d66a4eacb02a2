"""Conversion of columns to fields and extras, with the mapping's options; unreadable values are counted."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from contract.extras import MAX_TEXT_LENGTH, extra_text, number_text
from contract.fields import CARD_ID, CARD_ID_RULE, CARD_NUMBER, FIELDS, PSEUDONYM_PATTERN, PSEUDONYM_RULE, PSEUDONYMS
from contract.tables import TableError
from ml_server.data.mapping_file import ColumnMapping, DaysBetween, Equal, Source
from ml_server.data.report import Report, format_example
from ml_server.data.values import Series, ambiguous_thousands, flags, numbers, times

TIME_ADVICE = 'set its format, as in format: "%d/%m/%Y %H:%M", or unit: s for a number'


def convert_column(name: str, source: Source, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """Return a field's values; missing if they cannot be read."""
    kind = FIELDS[name].kind if name in FIELDS else "text"
    if isinstance(source, Equal):
        return equal(source, frame)
    if isinstance(source, DaysBetween):
        return _check_numbers(name, kind, days_between(name, source, frame, report), frame, source, report)
    given = frame[source.source]
    series = _translate(name, source, given, report) if source.values is not None else given
    result: Series[Any]
    if kind == "time":
        result = _read_times(source, series).astype("datetime64[s]")
        advice = TIME_ADVICE
    elif kind in ("number", "count"):
        return _check_numbers(name, kind, _read_numbers(source, series, report) * source.scale, frame, source, report)
    elif kind == "flag":
        result, advice = flags(series), "define them with values: {…: true, …: false}"
    elif kind == "enum":
        text = series.astype("string").str.strip()
        result = text.where(text.isin(list(FIELDS[name].numbers)))
        advice = f"translate them with values: {{…: {next(iter(FIELDS[name].numbers))}}} to {', '.join(FIELDS[name].numbers)}"
    elif name == CARD_ID or name in PSEUDONYMS:
        return _read_pseudonyms(name, source.source, series.astype("string"), report)
    else:
        result, advice = series.astype("string"), ""
    _report_unreadable(name, source.source, series, result, report, advice)
    return result


def _read_pseudonyms(name: str, column: str, series: "Series[Any]", report: Report) -> "Series[Any]":
    """Return pseudonyms. Personal data instead of them is unknown, and the report does not list it."""
    if name == CARD_ID:
        personal, what, rule = series.str.contains(CARD_NUMBER, regex=True), "are card numbers", CARD_ID_RULE
    else:
        personal, what, rule = ~series.str.fullmatch(PSEUDONYM_PATTERN), "are no pseudonyms", PSEUDONYM_RULE
    personal = personal.fillna(False)
    report.add_finding(
        column, int(personal.sum()), len(series), f"{what}; read as unknown", advice=f"a value of {name} {rule}"
    )
    return series.mask(personal)


def _read_times(source: ColumnMapping, series: "Series[Any]") -> "Series[Any]":
    if source.unit is None and source.format is None and pd.api.types.is_numeric_dtype(series.dtype):
        example = format_example(series.dropna().iloc[0]) if series.notna().any() else "-"
        raise TableError(
            f"column {source.source} contains numbers, like {example}; "
            "set their unit and origin, as in unit: s, since: 1970-01-01"
        )
    return times(series, source.format, source.unit, source.since)


def _read_numbers(source: ColumnMapping, series: "Series[Any]", report: Report) -> "Series[Any]":
    if source.decimal == "." and not pd.api.types.is_numeric_dtype(series.dtype):
        ambiguous = ambiguous_thousands(series)
        report.add_finding(
            source.source, int(ambiguous.sum()), len(series), "may be thousands, but are read as fractions",
            _values(series[ambiguous]), 'to read them as thousands, set decimal: ","',
        )  # fmt: skip
    return numbers(series, source.decimal)


def _check_numbers(
    name: str, kind: str, result: "Series[Any]", frame: pd.DataFrame, source: Source, report: Report
) -> "Series[Any]":
    """Return numbers that are not negative, and whole for counts."""
    column = ", ".join(source.sources)
    below = result < 0
    report.add_finding(column, int(below.sum()), len(result), f"are below 0, which {name} cannot be; read as unknown")
    known = frame[list(source.sources)].notna().all(axis=1)
    if isinstance(source, ColumnMapping) and source.values is None:
        unread = known & result.isna()
        report.add_finding(
            column, int(unread.sum()), len(result), f"are not a valid {name}; read as unknown",
            _values(frame[source.sources[0]][unread]), "to ignore them, set values: {…: null}",
        )  # fmt: skip
    result = result.mask(below)
    return result.floordiv(1) if kind == "count" else result


def _values(series: "Series[Any]") -> "Counter[str]":
    return Counter({str(value): int(count) for value, count in series.value_counts().head(1000).items()})


def _report_unreadable(
    name: str, column: str, given: "Series[Any]", result: "Series[Any]", report: Report, advice: str
) -> None:
    lost = given.notna() & result.isna()
    report.add_finding(
        column, int(lost.sum()), len(given), f"are not a valid {name}; read as unknown", _values(given[lost]), advice
    )


def _translate(name: str, source: ColumnMapping, series: "Series[Any]", report: Report) -> "Series[Any]":
    known = {str(key): value for key, value in (source.values or {}).items()}
    text = series.astype("string").str.strip()
    left = text.notna() & ~text.isin(list(known))
    report.add_finding(
        source.source, int(left.sum()), len(series), f"are not in the mapping's values for {name}",
        _values(text[left]), "add them, with null for unknown",
    )  # fmt: skip
    return text.map(known)


def equal(source: Equal, frame: pd.DataFrame) -> "Series[Any]":
    """Return whether two columns are equal, ignoring case and spaces; unknown if one is."""
    first, second = (
        frame[name].astype("string").str.strip().str.replace(r"\s+", " ", regex=True).str.casefold()
        for name in source.sources
    )
    return (first == second).astype("boolean").mask(first.isna() | second.isna())


def days_between(name: str, source: DaysBetween, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """Return days from the first column's time to the second's, with fractions; unknown if one is."""
    first, second = (_read_times(column, frame[column.source]) for column in source.days_between)
    for column, read in zip(source.days_between, (first, second), strict=True):
        _report_unreadable(f"time for {name}", column.source, frame[column.source], read, report, TIME_ADVICE)
    between: Any = second - first
    days: Series[Any] = (between / pd.Timedelta(1, unit="D")).astype("float64")
    return days


def extra_numbers(name: str, source: Source, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """Return a column of numbers that is not a field."""
    if isinstance(source, DaysBetween):
        return days_between(name, source, frame, report)
    if isinstance(source, Equal):
        return equal(source, frame).astype("Float64")
    given = frame[source.source]
    series = _translate(name, source, given, report) if source.values is not None else given
    result = _read_numbers(source, series, report) * source.scale
    if series.dtype == bool or str(series.dtype) == "boolean":
        result = series.astype("Float64").astype("float64")
    lost = series.notna() & result.isna()
    report.add_finding(
        source.source, int(lost.sum()), len(series), "are not numbers; read as unknown", _values(series[lost])
    )
    return result


def extra_texts(name: str, source: Source, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """Return a column of texts that is not a field."""
    if isinstance(source, Equal):
        return equal(source, frame).map({True: "true", False: "false"}).astype("string")
    assert isinstance(source, ColumnMapping)
    given = frame[source.source]
    series = _translate(name, source, given, report) if source.values is not None else given
    text = series.astype("string")
    if pd.api.types.is_float_dtype(series.dtype):  # whole numbers that became 3.0 because a value was absent
        finite = series.astype("float64").where(np.isfinite(series.astype("float64")))
        text = finite.map(number_text, "ignore").astype("string")
    long = text.str.len().gt(MAX_TEXT_LENGTH).fillna(False)
    report.add_finding(
        source.source, int(long.sum()), len(text), f"have more than {MAX_TEXT_LENGTH} characters; read as unknown"
    )
    known: dict[str, str | None] = {value: extra_text(value) or None for value in text.dropna().unique()}
    return text.map(known).astype("string")
