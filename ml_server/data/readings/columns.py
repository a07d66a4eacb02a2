"""Conversion of columns to fields and extras; unreadable values are counted."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from contract.extras import MAX_TEXT_LENGTH, extra_text
from contract.fields import CARD_ID, CARD_ID_RULE, CARD_NUMBER, Field
from ml_server.data.mapping_schema import ColumnMapping, Constant, DaysBetween, Equal, Source, ZoneColumn
from ml_server.data.readings.cells import Series, is_typed, read_cells, to_string, to_texts
from ml_server.data.readings.decisions import Decisions
from ml_server.data.readings.flags import FLAGS, read_flags
from ml_server.data.readings.numbers import read_numbers
from ml_server.data.readings.times import EXCEL_ORIGIN, Times, read_counted, read_formatted
from ml_server.data.readings.zones import count_winter_times_in_summer, find_zone, to_utc, to_utc_by_texts
from ml_server.data.report import Report, count_values

TIME_ADVICE: Final = 'set its format, as in format: "%d/%m/%Y %H:%M", or unit: s for a number'


class ColumnReader:
    """Reads the columns of pieces of a file by the decisions on the whole file."""

    def __init__(self, fields: Mapping[str, Field], decisions: Decisions, report: Report) -> None:
        self._fields, self.decisions, self._report = fields, decisions, report

    def field(
        self, name: str, source: Source, frame: pd.DataFrame, total: "Series[Any] | None" = None
    ) -> "Series[Any]":
        """Return a field's values; missing if they cannot be read. `total` are numbers that replace those of the rows."""
        field = self._fields.get(name)
        kind = field.kind if field else "text"
        if isinstance(source, Constant):
            return _constant(source, kind, len(frame))
        if isinstance(source, Equal):
            return self._equal(source, frame)
        if isinstance(source, DaysBetween):
            return self._check_numbers(name, kind, self._days_between(name, source, frame), frame, source)
        if kind in ("number", "count"):
            values = self.raw_numbers(name, source, frame) if total is None else total
            return self._check_numbers(name, kind, values, frame, source)
        if kind == "time":
            return self._times(name, source, frame)
        cells, result = read_cells(name, source, frame, self._report), pd.Series(dtype="string")
        advice = ""
        if kind == "flag":
            result, advice = read_flags(to_string(cells)), "define them with values: {…: true, …: false}"
        elif kind == "enum" and field:
            text = to_string(cells).str.strip()
            result = text.where(text.isin(list(field.numbers)))
            names = list(field.numbers)
            advice = f"translate them with values: {{…: {names[0]}}} to {', '.join(names)}"
        elif name == CARD_ID:
            return self._card_ids(source.column, to_string(cells))
        else:
            result = to_string(cells)
            self._report_rounded(source.column, result)
        self._report_unreadable(name, source.column, cells, result, advice)
        return result

    def _report_rounded(self, column: str, texts: "Series[Any]") -> None:
        """Report ids that a spreadsheet has rounded, so that different ones look alike."""
        rounded = texts.str.fullmatch(r"[0-9][.,][0-9]+E\+[0-9]+").fillna(False)
        self._report.add_finding(
            column, int(rounded.sum()), len(texts), "were rounded by a spreadsheet", count_values(texts[rounded]),
            "export them again as text",
        )  # fmt: skip

    def _card_ids(self, column: str, texts: "Series[Any]") -> "Series[Any]":
        """Return tokens of cards; card numbers are unknown, and the report does not list them."""
        is_number = texts.str.contains(CARD_NUMBER, regex=True).fillna(False)
        what = "are card numbers; read as unknown"
        self._report.add_finding(column, int(is_number.sum()), len(texts), what, advice=f"a {CARD_ID} {CARD_ID_RULE}")
        return texts.mask(is_number)

    def extra_numbers(
        self, name: str, source: Source, frame: pd.DataFrame, total: "Series[Any] | None" = None
    ) -> "Series[Any]":
        """Return a column of numbers that is not a field, or the sums that replace it."""
        if total is not None:
            return total
        if isinstance(source, DaysBetween):
            return self._days_between(name, source, frame)
        if isinstance(source, Equal):
            return self._equal(source, frame).astype("Float64")
        assert isinstance(source, ColumnMapping)
        cells = read_cells(name, source, frame, self._report)
        result = self.raw_numbers(name, source, frame)
        lost = cells.notna() & result.isna()
        self._report.add_finding(
            source.column, int(lost.sum()), len(cells), "are not numbers; read as unknown", count_values(cells[lost])
        )
        return result

    def extra_texts(self, name: str, source: Source, frame: pd.DataFrame) -> "Series[Any]":
        """Return a column of texts that is not a field."""
        if isinstance(source, Equal):
            return self._equal(source, frame).map({True: "true", False: "false"}).astype("string")
        assert isinstance(source, ColumnMapping)
        text = to_string(read_cells(name, source, frame, self._report))
        long = text.str.len().gt(MAX_TEXT_LENGTH).fillna(False)
        self._report.add_finding(
            source.column, int(long.sum()), len(text), f"have more than {MAX_TEXT_LENGTH} characters; read as unknown"
        )
        known: dict[str, str | None] = {value: extra_text(value) or None for value in text.dropna().unique()}
        return text.map(known).astype("string")

    def raw_numbers(self, name: str, source: Source, frame: pd.DataFrame) -> "Series[Any]":
        """Return the numbers of a column as they are written, times its scale."""
        assert isinstance(source, ColumnMapping)
        cells = read_cells(name, source, frame, None)
        if is_typed(cells) or cells.dtype == "boolean":
            plain: Series[Any] = cells.astype("Float64").astype("float64")
            return plain.where(np.isfinite(plain)) * source.scale
        decimal = self.decisions.decimal(name, source)
        if decimal == "," and source.decimal is None:
            self._report.add_line(f"{source.column}: read with a decimal comma")
        return pd.Series(read_numbers(to_texts(cells), decimal) * source.scale, index=frame.index)

    def _times(self, name: str, source: ColumnMapping, frame: pd.DataFrame) -> "Series[Any]":
        """Return times in UTC, to the microsecond; unreadable ones are missing and reported."""
        cells = read_cells(name, source, frame, self._report)
        result = pd.Series(self._read_times(source, cells, frame), index=frame.index)
        self._report_unreadable(name, source.column, cells, result, TIME_ADVICE)
        return result

    def _read_times(self, source: ColumnMapping, cells: "Series[Any]", frame: pd.DataFrame) -> Times:
        if isinstance(cells.dtype, pd.DatetimeTZDtype):
            aware: Any = cells.dt.tz_convert("UTC").dt.tz_localize(None)
            in_utc_already: Times = aware.to_numpy(dtype="datetime64[us]")
            return in_utc_already
        if source.unit is not None:
            return read_counted(self._plain_numbers(cells), source.unit, source.since)
        if source.format == "excel":
            local = read_counted(self._plain_numbers(cells), "D", EXCEL_ORIGIN)
        elif pd.api.types.is_datetime64_any_dtype(cells.dtype):
            local = cells.to_numpy(dtype="datetime64[us]")
        elif source.format is not None and "%" in source.format:
            local, in_utc = read_formatted(to_string(cells), source.format)
            if in_utc:
                return local
        else:
            return self._read_texts(source, cells, frame)
        return self._from_zone(source, local, frame, np.full(len(frame), "", object))

    def _plain_numbers(self, cells: "Series[Any]") -> Any:
        if is_typed(cells):
            return cells.astype("Float64").to_numpy(dtype="float64", na_value=np.nan)
        return read_numbers(to_texts(cells), ".")

    def _read_texts(self, source: ColumnMapping, cells: "Series[Any]", frame: pd.DataFrame) -> Times:
        reading = self.decisions.time_reading(source)
        if reading is None:  # no value in the whole file
            return np.full(len(frame), np.datetime64("NaT"), "datetime64[us]")
        if reading.layout.kind != "year_first":
            self._report.add_line(f"{source.column}: times are read as {reading.describe()}")
        local, parts = reading.read(to_texts(cells))
        no_zone = np.full(len(frame), "", object)
        written = parts.texts("z").to_numpy(zero_copy_only=False) if parts is not None and "z" in parts else no_zone
        return self._from_zone(source, local, frame, written)

    def _from_zone(self, source: ColumnMapping, local: Times, frame: pd.DataFrame, written: Any) -> Times:
        """Return local times in UTC, by the zone in their text, that of the row or that of the mapping."""
        zone = source.timezone or self.decisions.timezone
        default: dt.tzinfo = dt.UTC
        if isinstance(zone, ZoneColumn):
            of_row = to_string(frame[zone.source]).fillna("?").str.strip().to_numpy(dtype=object)
            written = np.where(written == "", of_row, written)
        elif zone is not None:
            default = find_zone(zone) or dt.UTC
        elif (written == "").any() and not np.isnat(local).all():
            self._report.add_line(
                f"{source.column}: read as UTC where a value has no time zone; if it is local time, set "
                "timezone: Europe/Berlin or another one"
            )
        if (written == "").all():
            times, unclear = to_utc(local, default)
        else:
            codes, names = pd.factorize(pd.Series(written).replace("", None))
            times, unclear = to_utc_by_texts(local, list(names), codes, default)
            self._report.add_finding(
                source.column, count_winter_times_in_summer(local, list(names), codes), len(local),
                "are in summer, but their zone is that of winter",
                advice="if they are local times, set timezone: Europe/Berlin",
            )  # fmt: skip
        self._report.add_finding(
            source.column,
            unclear,
            len(local),
            "occur twice or never, as clocks are changed; read as the earlier, or the next",
        )
        return times

    def _equal(self, source: Equal, frame: pd.DataFrame) -> "Series[Any]":
        """Return whether two columns are equal, ignoring case and spaces; unknown if one is."""
        first, second = (
            to_string(read_cells("", column, frame, None))
            .str.strip()
            .str.replace(r"\s+", " ", regex=True)
            .str.casefold()
            for column in source.equal
        )
        return (first == second).astype("boolean").mask(first.isna() | second.isna())

    def _days_between(self, name: str, source: DaysBetween, frame: pd.DataFrame) -> "Series[Any]":
        """Return days from the first column's time to the second's, with fractions; unknown if one is."""
        first, second = (self._times(f"time for {name}", column, frame) for column in source.days_between)
        between: Any = second - first
        days: Series[Any] = (between / pd.Timedelta(1, unit="D")).astype("float64")
        return days

    def _check_numbers(
        self, name: str, kind: str, result: "Series[Any]", frame: pd.DataFrame, source: Source
    ) -> "Series[Any]":
        """Return numbers that are not negative, and whole for counts."""
        column = source.column if isinstance(source, ColumnMapping) else ", ".join(source.sources)
        below = result < 0
        self._report.add_finding(
            column, int(below.sum()), len(result), f"are below 0, which {name} cannot be; read as unknown"
        )
        if isinstance(source, ColumnMapping) and source.values is None:
            cells = read_cells(name, source, frame, None)
            unread = result.isna() & (cells.notna() if is_typed(cells) else np.asarray(pc.is_valid(to_texts(cells))))
            self._report.add_finding(
                column, int(unread.sum()), len(result), f"are not a valid {name}; read as unknown",
                count_values(cells[unread]), "to ignore them, set values: {…: null}",
            )  # fmt: skip
        result = result.mask(below)
        return result.floordiv(1) if kind == "count" else result

    def _report_unreadable(
        self, name: str, column: str, given: "Series[Any]", result: "Series[Any]", advice: str
    ) -> None:
        lost = given.notna() & result.isna()
        self._report.add_finding(
            column,
            int(lost.sum()),
            len(given),
            f"are not a valid {name}; read as unknown",
            count_values(given[lost]),
            advice,
        )


def _constant(source: Constant, kind: str, rows: int) -> "Series[Any]":
    if kind == "flag":
        return pd.Series([FLAGS[str(source.constant).lower()]] * rows, dtype="boolean")
    if kind in ("number", "count"):
        return pd.Series([float(source.constant)] * rows, dtype="float64")
    return pd.Series([str(source.constant)] * rows, dtype="string")
