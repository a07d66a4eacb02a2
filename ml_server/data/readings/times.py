"""Times of a column: one layout and one order of day and month for all values, or a question."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.tables import TableError
from ml_server.data.readings.layouts import LAYOUTS, NUMBER, TIME_OF_DAY, Layout, Parts, days_of
from ml_server.data.report import format_example

Times = NDArray[np.datetime64]
ORDERS: Final = ("dmy", "mdy", "ymd")
EXCEL_ORIGIN: Final = "1899-12-30"
_WORDS: Final = {"dmy": "day/month/year", "mdy": "month/day/year", "ymd": "year/month/day"}
_UNITS: Final = (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9))
_MAX_SECONDS: Final = 200 * 365.25 * 86_400
_PLAUSIBLE: Final = (dt.datetime(1995, 1, 1), dt.datetime(2100, 1, 1))


_ISO: Final = LAYOUTS[0]
_ISO_YEARS: Final = (np.datetime64("1900-01-01"), np.datetime64("2201-01-01"))


@dataclass(frozen=True)
class TimeReading:
    """The layout of all times of a column, and the order of its numbers."""

    layout: Layout
    order: str = ""

    def describe(self) -> str:
        """Describe how the column is read."""
        if self.layout.kind != "numeric":
            return self.layout.name
        return _WORDS[self.order].replace("/", self.layout.separator)

    def read(self, texts: pa.Array) -> tuple[Times, Parts | None]:
        """Return the local times of texts, to the microsecond, missing where they have another layout; and their parts.

        Without parts no text has a zone.
        """
        if self.layout is _ISO and (iso := _cast_iso(texts)) is not None:
            return iso, None
        parts = self.layout.extract(texts)
        days, valid = parts.dates(self.order)
        clock, valid_clock = parts.clocks()
        times = days.astype("datetime64[us]") + clock.astype("timedelta64[us]")
        times[~(valid & valid_clock)] = np.datetime64("NaT")
        return times, parts


@dataclass
class _Count:
    """What the values of a layout allow: numbers of values that only one order of day and month can read."""

    texts: int = 0
    only: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("dmy", "mdy"), 0))
    valid: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ORDERS, 0))
    firsts: set[int] = field(default_factory=set)
    lasts: set[int] = field(default_factory=set)
    examples: dict[str, str] = field(default_factory=dict)
    differs: str = ""
    with_zone: int = 0
    without_zone: int = 0


@dataclass
class TimeSurvey:
    """Collects what the values of a column allow, piece by piece. `wanted` is an order given in the mapping, or `iso`."""

    wanted: str = ""
    values: int = 0
    _counts: dict[str, _Count] = field(default_factory=dict)
    _numbers: int = 0
    _clocks: int = 0
    _example: str = ""
    _number: str = ""

    def add(self, texts: pa.Array) -> None:
        """Add the next known values, without surrounding spaces."""
        if not len(texts):
            return
        self._example = self._example or texts[0].as_py()
        first = self.values == 0
        self.values += len(texts)
        matched = 0
        if _cast_iso(texts) is not None and self._is_allowed(_ISO):  # the usual times
            count = self._counts.setdefault(_ISO.name, _Count())
            count.texts, count.without_zone = count.texts + len(texts), count.without_zone + len(texts)
            return
        for layout in LAYOUTS:
            if not self._is_allowed(layout) or (not first and layout.name not in self._counts):
                continue
            parts = layout.extract_days(texts)
            if parts.matched.any():
                matched += self._add_parts(self._counts.setdefault(layout.name, _Count()), layout, parts, texts)
        if matched < len(texts):
            numbers = pc.filter(texts, pc.match_substring_regex(texts, NUMBER))
            self._numbers += len(numbers)
            self._number = self._number or (numbers[0].as_py() if len(numbers) else "")
            self._clocks += _count(pc.match_substring_regex(texts, TIME_OF_DAY))

    def _is_allowed(self, layout: Layout) -> bool:
        if self.wanted in ("iso", "ymd") and layout.kind == "named":
            return False
        return not (self.wanted == "iso" and (layout.kind != "year_first" or layout.separator not in ("", "-")))

    def _add_parts(self, count: _Count, layout: Layout, parts: Parts, texts: pa.Array) -> int:
        """Add the parts of the texts of a layout; return their number."""
        timed, zoned = parts.has("H"), parts.has("z")
        count.with_zone += int(zoned.sum())
        count.without_zone += int((timed & ~zoned).sum())
        if layout.kind != "numeric":
            read = int(parts.dates("")[1].sum())
            count.texts += read
            return read
        rows = np.flatnonzero(parts.matched)
        count.texts += len(rows)
        numbers = [parts.numbers(name)[rows] for name in "abc"]
        codes = (numbers[0] * 100 + numbers[1]) * 10_000 + numbers[2]
        _, places, weights = np.unique(codes, return_index=True, return_counts=True)
        first, second, third = (number[places] for number in numbers)
        by_order = {order: days_of(first, second, third, order) for order in ORDERS}
        for order in ORDERS:
            count.valid[order] += int(weights[by_order[order][1]].sum())
        (dmy, is_dmy), (mdy, is_mdy) = by_order["dmy"], by_order["mdy"]
        for order, found in (("dmy", is_dmy & ~is_mdy), ("mdy", is_mdy & ~is_dmy)):
            count.only[order] += int(weights[found].sum())
            if found.any():
                count.examples.setdefault(order, texts[int(rows[places[found][0]])].as_py())
        unlike = is_dmy & is_mdy & (dmy != mdy)
        if unlike.any() and not count.differs:
            count.differs = texts[int(rows[places[unlike][0]])].as_py()
        count.firsts |= set(first.tolist())
        count.lasts |= set(third.tolist())
        return len(rows)

    def decide(self, name: str, column: str) -> TimeReading | None:
        """Return the reading of the column, None if it has no value. Raises TableError that asks for what is not clear."""
        if not self.values:
            return None
        most = max(self._counts.values(), key=lambda count: count.texts, default=_Count())
        if max(self._numbers, self._clocks) > most.texts:
            self._refuse(name, column)
        if not most.texts:
            raise TableError(
                f"column {column}: {format_example(self._example)} is no time that is known; "
                'set its format, as in format: "%d/%m/%Y %H:%M"'
            )
        layout = next(layout for layout in LAYOUTS if self._counts.get(layout.name) is most)
        if layout.kind != "numeric":
            return TimeReading(layout)
        return TimeReading(layout, self._order(name, column, layout, most))

    def mixed_zones(self, reading: TimeReading) -> tuple[int, int]:
        """Return how many values have a zone, and how many have a time of day without one."""
        count = self._counts[reading.layout.name]
        return count.with_zone, count.without_zone

    def _order(self, name: str, column: str, layout: Layout, count: _Count) -> str:
        if self.wanted in ORDERS:
            return self.wanted
        only, years_first = count.only, self._may_begin_with_years(count)
        if only["dmy"] and only["mdy"]:
            raise TableError(
                f"column {column}: {count.examples['dmy']!r} has the day first and {count.examples['mdy']!r} the month, so "
                "the column has no one reading; export it again in one format"
            )
        known = {order for order in ("dmy", "mdy") if only[order]}
        if not known and not count.differs:
            known = {"dmy"} if count.valid["dmy"] else set()  # 03/03/2026 in all rows
        elif not known:
            known = (
                {"dmy"} if layout.separator == "." else {"dmy", "mdy"}
            )  # by CLDR no country writes 03.04. month first
        if years_first:
            known |= {"ymd"}
        if len(known) == 1:
            return known.pop()
        if not known:
            known = set(ORDERS)
        example = count.differs or count.examples.get("dmy") or count.examples.get("mdy") or self._example
        text = pa.array([example])
        readings = []
        for order in (order for order in ORDERS if order in known):
            day = layout.extract(text).dates(order)[0][0].astype(dt.date)
            readings.append(f"{day.day} {day:%B %Y} (format: {order})")
        raise TableError(
            f"column {column}: {example!r} may be {' or '.join(readings)}, and no value of the column says which; set "
            f"{name}: {{from: {column}, format: {next(order for order in ORDERS if order in known)}}}, or the other one"
        )

    def _may_begin_with_years(self, count: _Count) -> bool:
        """Return whether 26/03/01 may be 2026-03-01: in all values, and with years that vary less than the days."""
        short = all(last < 100 for last in count.lasts)
        return short and count.valid["ymd"] == count.texts and len(count.firsts) < len(count.lasts)

    def _refuse(self, name: str, column: str) -> None:
        if self._clocks >= self._numbers:
            raise TableError(
                f"column {column} has times of day without a date, like {self._example!r}; "
                f"join both, as in {name}: {{from: [date column, {column}]}}"
            )
        raise TableError(f"column {column} contains numbers, like {self._number}; {number_advice(self._number)}")


def number_advice(example: str) -> str:
    """Return what to set for a column of numbers as times, with what the example would then be."""
    value, readings = float(example.replace(",", ".")), []
    for unit, parts in _UNITS:
        seconds = value / parts
        if (
            seconds < 4e9
            and _PLAUSIBLE[0] <= (moment := dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)) < _PLAUSIBLE[1]
        ):
            readings.append(f"unit: {unit} ({moment:%Y-%m-%d %H:%M:%S})")
    if 0 < value < 80_000:
        moment = dt.datetime(1899, 12, 30) + dt.timedelta(days=value)
        if _PLAUSIBLE[0] <= moment < _PLAUSIBLE[1]:
            readings.append(f"format: excel ({moment:%Y-%m-%d %H:%M:%S})")
    choice = f"as in {' or '.join(readings)}, or " if readings else "as in "
    return f"set their unit and origin, {choice}unit: s, since: 2024-01-01"


def read_formatted(texts: "pd.Series[Any]", time_format: str) -> tuple[Times, bool]:
    """Return the times of texts in a strptime format, and whether they are in UTC: the format has a zone."""
    zoned = any(code in time_format for code in ("%z", "%Z", "ISO8601"))
    parsed: Any = pd.to_datetime(texts, errors="coerce", format=time_format, utc=zoned)
    if zoned:
        parsed = parsed.dt.tz_localize(None)
    return parsed.to_numpy(dtype="datetime64[us]"), zoned


def read_counted(values: NDArray[np.float64], unit: str, since: object) -> Times:
    """Return numbers of units since a time as times, missing where they are further from it than any shop is old."""
    seconds = values * pd.Timedelta(1, unit=unit).total_seconds()  # type: ignore[arg-type]
    with np.errstate(invalid="ignore"):
        known = np.abs(seconds) <= _MAX_SECONDS
    micros = np.where(known, np.round(np.where(known, seconds, 0) * 1e6), 0).astype(np.int64)
    times: Times = pd.Timestamp(str(since)).tz_localize(None).to_datetime64().astype("datetime64[us]") + micros.astype(
        "timedelta64[us]"
    )
    times[~known] = np.datetime64("NaT")
    return times


def _count(flags: pa.Array) -> int:
    return int(pc.sum(flags).as_py() or 0)


def _cast_iso(texts: pa.Array) -> Times | None:
    """Return texts that are all YYYY-MM-DD HH:MM:SS without a zone, or parts of it, as times; else None."""
    try:
        times: Times = pc.cast(texts, pa.timestamp("us")).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    known = times[~np.isnat(times)]
    return times if not len(known) or (_ISO_YEARS[0] <= known.min() and known.max() < _ISO_YEARS[1]) else None
