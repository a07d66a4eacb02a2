"""What is decided on a whole file before its rows are converted, and the survey that decides it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
import pyarrow.compute as pc

from contract.tables import TableError
from ml_server.data.mapping_file import FieldMapping
from ml_server.data.mapping_schema import ColumnMapping, DaysBetween, Zone
from ml_server.data.readings.cells import is_typed, read_cells, to_texts
from ml_server.data.readings.numbers import NumberSurvey, describe_units
from ml_server.data.readings.times import ORDERS, TimeReading, TimeSurvey, number_advice
from ml_server.data.report import Report, format_example

_Key = tuple[tuple[str, ...], tuple[str, ...] | None, str | None]


def _key(source: ColumnMapping) -> _Key:
    return source.joined, source.fallback, source.format


@dataclass
class Decisions:
    """The layouts of times and the decimal signs of a file; by default those that need no decision."""

    times: dict[_Key, TimeReading | None] = field(default_factory=dict)
    decimals: dict[_Key, str] = field(default_factory=dict)
    given_decimal: str | None = None
    timezone: Zone | None = None

    def time_reading(self, source: ColumnMapping) -> TimeReading | None:
        """Return how the texts of a column are read as times; None if it has none."""
        return self.times.get(_key(source))

    def decimal(self, name: str, source: ColumnMapping) -> str:
        """Return the decimal sign of a column."""
        return source.decimal or self.given_decimal or self.decimals.get(_key(source), ".")


class Survey:
    """Looks at the rows of a file, piece by piece, and decides how its columns are read."""

    def __init__(self, mapping: FieldMapping) -> None:
        self._mapping = mapping
        self._times: dict[_Key, tuple[str, ColumnMapping, TimeSurvey]] = {}
        self._numbers: dict[_Key, tuple[str, ColumnMapping, NumberSurvey]] = {}
        for name, source, kind in _columns(mapping):
            if kind == "time" and source.unit is None and source.format in (None, "iso", *ORDERS):
                self._times.setdefault(_key(source), (name, source, TimeSurvey(source.format or "")))
            if kind == "number" and not (source.decimal or mapping.decimal):
                self._numbers.setdefault(_key(source), (name, source, NumberSurvey()))

    @property
    def columns(self) -> list[str]:
        """The columns that it has to see."""
        sources = [source for _, source, _ in (*self._times.values(), *self._numbers.values())]
        return list(dict.fromkeys(name for source in sources for name in source.sources))

    def add(self, frame: pd.DataFrame) -> None:
        """Look at the next rows. Raises TableError for a time column of numbers without a unit."""
        for name, source, times in self._times.values():
            cells = read_cells(name, source, frame, None)
            if pd.api.types.is_numeric_dtype(cells.dtype):
                known = to_texts(cells).drop_null()
                if len(known) and not pc.all(pc.match_substring_regex(known, r"^(19|20)\d{6}$")).as_py():
                    example = known[0].as_py()
                    raise TableError(
                        f"column {source.column} contains numbers, like {format_example(example)}; {number_advice(example)}"
                    )
            if not pd.api.types.is_datetime64_any_dtype(cells.dtype):
                times.add(to_texts(cells).drop_null())
        for name, source, numbers in self._numbers.values():
            cells = read_cells(name, source, frame, None)
            if not is_typed(cells) and cells.dtype != "boolean":
                numbers.add(to_texts(cells).drop_null())

    def decide(self, report: Report) -> Decisions:
        """Return the decisions. Raises TableError that asks for what the values do not say."""
        result = Decisions(given_decimal=self._mapping.decimal, timezone=self._mapping.timezone)
        for key, (name, source, times) in self._times.items():
            reading = result.times[key] = times.decide(name, source.column)
            if reading is None or source.timezone or self._mapping.timezone:
                continue
            with_zone, without = times.mixed_zones(reading)
            if with_zone and without:
                raise TableError(
                    f"column {source.column}: {with_zone:,} values have a time zone and {without:,} have none; set the zone "
                    f"of these, as in {name}: {{from: {source.column}, timezone: UTC}}"
                )
        for key, (name, source, numbers) in self._numbers.items():
            result.decimals[key] = numbers.decide(name, source.column)
            if name == "order_amount" and len(numbers.units) > 1 and "currency" not in self._mapping.columns:
                report.add_line(
                    f"{source.column}: amounts in several currencies, {describe_units(numbers.units)}; map currency"
                )
        return result


def _columns(mapping: FieldMapping) -> Iterator[tuple[str, ColumnMapping, str]]:
    """Yield the columns of all sources with their name and kind: time, number or text."""
    fields = mapping.targets.fields
    for name, source in mapping.sources.items():
        if isinstance(source, DaysBetween):
            yield from ((name, column, "time") for column in source.days_between)
        elif isinstance(source, ColumnMapping):
            kind = fields[name].kind if name in fields else "number" if name in mapping.extra.numeric else "text"
            yield name, source, "number" if kind == "count" else kind
