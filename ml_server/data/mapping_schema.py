"""The entries of a mapping file; docs/reference/mapping.md describes them."""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Final, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from ml_server.data.readings.times import ORDERS
from ml_server.data.readings.zones import find_zone

Scalar = bool | int | float | str
Decimal = Literal[".", ","]
FORMATS: Final = (*ORDERS, "iso", "excel")
"""Formats by a word; any other one is a strptime format."""
Unit = Literal[
    "ns", "us", "ms", "s", "m", "h", "D",
    "nanoseconds", "microseconds", "milliseconds", "seconds", "minutes", "hours", "days",
]  # fmt: skip


class Strict(BaseModel):
    """Entries that allow nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(strict=False, min_length=1)]
Scalars = Annotated[tuple[Scalar, ...], BeforeValidator(_listed), Field(strict=False)]


class ZoneColumn(Strict):
    """The column that has the time zone of each row."""

    source: Annotated[Name, Field(alias="from")]


def _check_zone(value: object) -> object:
    if isinstance(value, str) and find_zone(value) is None:
        raise ValueError(f"{value!r} is no time zone; write a name such as Europe/Berlin, or an offset such as +01:00")
    return value


Zone = Annotated[str | ZoneColumn, BeforeValidator(_check_zone)]


_Joined = Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]


class ColumnMapping(Strict):
    """Source column of a field, and its format."""

    source: Annotated[Name | _Joined, Field(alias="from")]
    fallback: Names | None = None
    format: str | None = None
    unit: Unit | None = None
    since: dt.datetime | dt.date | str = "1970-01-01"
    timezone: Zone | None = None
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    decimal: Decimal | None = None
    values: dict[Scalar, Scalar | None] | None = None

    @field_validator("since")
    @classmethod
    def _is_time(cls, value: object) -> object:
        pd.Timestamp(str(value))  # raises ValueError
        return value

    @field_validator("format")
    @classmethod
    def _is_format(cls, value: str | None) -> str | None:
        if value is None or "%" in value or value in FORMATS:
            return value
        if value == "ISO8601":
            return "iso"
        raise ValueError(f'must be {", ".join(FORMATS)} or a strptime format such as "%d/%m/%Y %H:%M"')

    @model_validator(mode="after")
    def _is_unambiguous(self) -> "ColumnMapping":
        if self.format is not None and self.unit is not None:
            raise ValueError("format is for texts and unit for numbers; set one of them")
        return self

    @property
    def joined(self) -> tuple[str, ...]:
        """The columns that make up the value."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def column(self) -> str:
        """Name of the column in messages."""
        return " + ".join(self.joined)

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        zone = (self.timezone.source,) if isinstance(self.timezone, ZoneColumn) else ()
        return (*self.joined, *(self.fallback or ()), *zone)


def _from_name(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


Column = Annotated[ColumnMapping, BeforeValidator(_from_name)]
_Two = Annotated[tuple[Column, Column], Field(strict=False)]


class Constant(Strict):
    """The same value in every row."""

    constant: Scalar

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads: none."""
        return ()


class Equal(Strict):
    """Whether two columns are equal."""

    equal: _Two

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return _sources(self.equal)


class DaysBetween(Strict):
    """Days from the time of one column to the time of another."""

    days_between: _Two

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return _sources(self.days_between)


def _sources(columns: Iterable[ColumnMapping]) -> tuple[str, ...]:
    return tuple(name for column in columns for name in column.sources)


_DERIVED: Final = ("equal", "days_between", "constant")


def _form(value: object) -> str:
    keys = value if isinstance(value, dict) else ()
    return next((name for name in _DERIVED if name in keys or hasattr(value, name)), "from")


Source = ColumnMapping | Equal | DaysBetween | Constant
AnySource = Annotated[
    Annotated[Column, Tag("from")]
    | Annotated[Equal, Tag("equal")]
    | Annotated[DaysBetween, Tag("days_between")]
    | Annotated[Constant, Tag("constant")],
    Discriminator(_form),
]


class Condition(Strict):
    """What a column must be in the rows that are read; one of the entries is set."""

    values: Scalars | None = None
    unlike: Annotated[Scalars | None, Field(alias="not")] = None
    empty: bool | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Condition":
        if (self.values is None) + (self.unlike is None) + (self.empty is None) != 2:
            raise ValueError("must be a value, a list of values, {not: […]} or {empty: false}")
        return self


def _condition(value: object) -> object:
    return value if isinstance(value, dict | Condition) else {"values": value}


Conditions = dict[str, Annotated[Condition, BeforeValidator(_condition)]]


class LabelColumn(Strict):
    """The label column, and which of its values mean what."""

    source: Annotated[Name, Field(alias="from")]
    abuse: Annotated[Scalars, Field(min_length=1)]
    honest: Scalars | None = None
    others: Literal["honest", "unknown"] | None = None
    empty: Literal["honest", "unknown"] | None = None
    split: Name | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (self.source,)


class LabelRows(Strict):
    """Rows that are no orders, and say that the order to which they refer was abuse."""

    rows: Annotated[Conditions, Field(min_length=1)]
    refers: Name

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (*self.rows, self.refers)


def _label_form(value: object) -> str:
    return "rows" if hasattr(value, "rows") or (isinstance(value, dict) and "rows" in value) else "column"


Label = LabelColumn | LabelRows
_AnyLabel = Annotated[
    Annotated[LabelColumn, Tag("column")] | Annotated[LabelRows, Tag("rows")], Discriminator(_label_form)
]


def _by_name(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    if twice := [name for name in value if value.count(name) > 1]:
        raise ValueError(f"{twice[0]} appears twice")
    if wrong := [name for name in value if not isinstance(name, str)]:
        raise ValueError(f"{wrong[0]} is not text; put it in quotes")
    return {name: name for name in value}


_Extras = Annotated[dict[str, AnySource], BeforeValidator(_by_name)]


class ExtraColumns(Strict):
    """Columns that are not fields."""

    numeric: _Extras = {}
    categorical: _Extras = {}


class DialectEntry(Strict):
    """How the file is written, where that is not found rightly."""

    separator: str | None = None
    encoding: str | None = None
    skip: Annotated[int | None, Field(ge=0)] = None
    quote: Annotated[str, Field(max_length=1)] = '"'
    decimal: Decimal | None = None
    sheet: str | None = None
    member: str | None = None

    @field_validator("separator")
    @classmethod
    def _is_sign(cls, value: str | None) -> str | None:
        value = "\t" if value == "tab" else value
        if value is not None and (len(value) != 1 or value in '"\n\r'):
            raise ValueError("must be one character, or tab")
        return value


class Sum(Strict):
    """Several rows are one order: its first row, with the sum of these fields and extras."""

    sum: Names


class MappingFile(Strict):
    """Contents of a mapping file; a column's name alone is short for {from: name}."""

    columns: dict[str, AnySource]
    label: _AnyLabel | None = None
    extra: ExtraColumns = ExtraColumns()
    dialect: DialectEntry = DialectEntry()
    nulls: Scalars = ()
    timezone: Zone | None = None
    where: Conditions = {}
    lines: Literal["refuse", "first"] | Sum = "refuse"

    @field_validator("extra", "dialect", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        return {} if value is None else value
