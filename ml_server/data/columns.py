"""One column, or two, as a field or an extra: the options of its entry applied, what is lost counted and told."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from contract.extras import LONGEST, extra_text, number_text
from contract.fields import FIELDS
from contract.tables import TableError
from ml_server.data.mapping_file import ColumnMapping, DaysBetween, Equal, Source
from ml_server.data.report import Report, shown
from ml_server.data.values import Series, flags, numbers, of_two_minds, times

TIME_WAY_OUT = 'say how it is written, as in format: "%d/%m/%Y %H:%M", or unit: s where it is a number'


def converted(name: str, source: Source, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """A field's values, missing where they cannot be read."""
    kind = FIELDS[name].kind if name in FIELDS else "text"
    if isinstance(source, Equal):
        return equal(source, frame)
    if isinstance(source, DaysBetween):
        return _counted(name, kind, days_between(name, source, frame, report), frame, source, report)
    given = frame[source.source]
    series = _translated(name, source, given, report) if source.values is not None else given
    result: Series[Any]
    if kind == "time":
        result = _read_times(source, series).astype("datetime64[s]")
        way_out = TIME_WAY_OUT
    elif kind in ("number", "count"):
        return _counted(name, kind, _read_numbers(source, series, report) * source.scale, frame, source, report)
    elif kind == "flag":
        result, way_out = flags(series), "values: {…: true, …: false} says what they mean"
    elif kind == "enum":
        text = series.astype("string").str.strip()
        result = text.where(text.isin(list(FIELDS[name].numbers)))
        way_out = f"values: {{…: {next(iter(FIELDS[name].numbers))}}} turns them into {', '.join(FIELDS[name].numbers)}"
    else:
        result, way_out = series.astype("string"), ""
    _note_lost(name, source.source, series, result, report, way_out)
    return result


def _read_times(source: ColumnMapping, series: "Series[Any]") -> "Series[Any]":
    if source.unit is None and source.format is None and pd.api.types.is_numeric_dtype(series.dtype):
        raise TableError(
            f"column {source.source} holds numbers, like {shown(series.dropna().iloc[0]) if series.notna().any() else '-'}: "
            "say their unit and since when, as in unit: s, since: 1970-01-01"
        )
    return times(series, source.format, source.unit, source.since)


def _read_numbers(source: ColumnMapping, series: "Series[Any]", report: Report) -> "Series[Any]":
    if source.decimal == "." and not pd.api.types.is_numeric_dtype(series.dtype):
        doubtful = of_two_minds(series)
        report.note(
            source.source, int(doubtful.sum()), len(series), "may be thousands, and are read as fractions",
            _values(series[doubtful]), 'decimal: "," reads them as thousands',
        )  # fmt: skip
    return numbers(series, source.decimal)


def _counted(
    name: str, kind: str, result: "Series[Any]", frame: pd.DataFrame, source: Source, report: Report
) -> "Series[Any]":
    """Numbers that are not below 0, and whole where they count."""
    column = ", ".join(source.sources)
    below = result < 0
    report.note(column, int(below.sum()), len(result), f"are below 0, which {name} cannot be: read as unknown")
    known = frame[list(source.sources)].notna().all(axis=1)
    if isinstance(source, ColumnMapping) and source.values is None:
        unread = known & result.isna()
        report.note(
            column, int(unread.sum()), len(result), f"are no {name}, read as unknown",
            _values(frame[source.sources[0]][unread]), "values: {…: null} silences them",
        )  # fmt: skip
    result = result.mask(below)
    return result.floordiv(1) if kind == "count" else result


def _values(series: "Series[Any]") -> "Counter[str]":
    return Counter({str(value): int(count) for value, count in series.value_counts().head(1000).items()})


def _note_lost(
    name: str, column: str, given: "Series[Any]", result: "Series[Any]", report: Report, way_out: str
) -> None:
    lost = given.notna() & result.isna()
    report.note(column, int(lost.sum()), len(given), f"are no {name}, read as unknown", _values(given[lost]), way_out)


def _translated(name: str, source: ColumnMapping, series: "Series[Any]", report: Report) -> "Series[Any]":
    known = {str(key): value for key, value in (source.values or {}).items()}
    text = series.astype("string").str.strip()
    left = text.notna() & ~text.isin(list(known))
    report.note(
        source.source, int(left.sum()), len(series), f"are no value of the mapping to {name}",
        _values(text[left]), "add them to its values, with null for unknown",
    )  # fmt: skip
    return text.map(known)


def equal(source: Equal, frame: pd.DataFrame) -> "Series[Any]":
    """Whether two columns say the same, but for case and spaces; unknown where one is."""
    first, second = (
        frame[name].astype("string").str.strip().str.replace(r"\s+", " ", regex=True).str.casefold()
        for name in source.sources
    )
    return (first == second).astype("boolean").mask(first.isna() | second.isna())


def days_between(name: str, source: DaysBetween, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """Days from the first column's time to the second's, with fractions; unknown where one is."""
    first, second = (_read_times(column, frame[column.source]) for column in source.days_between)
    for column, read in zip(source.days_between, (first, second), strict=True):
        _note_lost(f"time for {name}", column.source, frame[column.source], read, report, TIME_WAY_OUT)
    between: Any = second - first
    days: Series[Any] = (between / pd.Timedelta(1, unit="D")).astype("float64")
    return days


def extra_numbers(name: str, source: Source, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """A column of numbers that is no field."""
    if isinstance(source, DaysBetween):
        return days_between(name, source, frame, report)
    if isinstance(source, Equal):
        return equal(source, frame).astype("Float64")
    given = frame[source.source]
    series = _translated(name, source, given, report) if source.values is not None else given
    result = _read_numbers(source, series, report) * source.scale
    if series.dtype == bool or str(series.dtype) == "boolean":
        result = series.astype("Float64").astype("float64")
    lost = series.notna() & result.isna()
    report.note(source.source, int(lost.sum()), len(series), "are no number, read as unknown", _values(series[lost]))
    return result


def extra_texts(name: str, source: Source, frame: pd.DataFrame, report: Report) -> "Series[Any]":
    """A column of texts that is no field."""
    if isinstance(source, Equal):
        return equal(source, frame).map({True: "true", False: "false"}).astype("string")
    assert isinstance(source, ColumnMapping)
    given = frame[source.source]
    series = _translated(name, source, given, report) if source.values is not None else given
    text = series.astype("string")
    if pd.api.types.is_float_dtype(series.dtype):  # whole numbers that became 3.0 because one was absent
        finite = series.astype("float64").where(np.isfinite(series.astype("float64")))
        text = finite.map(number_text, "ignore").astype("string")
    long = text.str.len().gt(LONGEST).fillna(False)
    report.note(source.source, int(long.sum()), len(text), f"have more than {LONGEST} characters, read as unknown")
    known: dict[str, str | None] = {value: extra_text(value) or None for value in text.dropna().unique()}
    return text.map(known).astype("string")
