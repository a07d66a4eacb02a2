"""The YAML file that maps columns to fields.

columns:
  transaction_id: {from: order_no}
  timestamp: {from: placed, format: "%d/%m/%Y %H:%M"}     # or {from: secs, unit: seconds, since: 2024-01-01}
  order_amount: {from: cents, scale: 0.01}                # or {from: price, decimal: ","} for 1.234,56 EUR
  device_type: {from: dev, values: {PC: desktop, Phone: mobile}}
  user_id: customer                                       # short for {from: customer}
  billing_shipping_match: {equal: [bill_to, ship_to]}     # derived from two columns
  account_age_days: {days_between: [opened, placed]}      # each may be {from: opened, format: "%d.%m.%Y"}
label: {from: chargeback, abuse: "Y"}                     # any two values; abuse_type may be mapped to another column
extra: {numeric: [v1, v2], categorical: [product]}        # columns that are not fields, as additional features;
# {numeric: {v1: "Column 1", age: {days_between: [a, b]}}} names them
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator

from contract.extras import MAX_PAIRS
from contract.fields import FIELDS
from contract.schema import TYPES
from ml_server.features.feature_set import Extra


class MappingError(ValueError):
    """An invalid mapping; the message names the entry."""


Scalar = bool | int | float | str


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


Unit = Literal[
    "ns", "us", "ms", "s", "m", "h", "D",
    "nanoseconds", "microseconds", "milliseconds", "seconds", "minutes", "hours", "days",
]  # fmt: skip


class ColumnMapping(_Strict):
    """Source column of a field, and its format."""

    source: Annotated[str, Field(alias="from", min_length=1)]
    format: str | None = None
    unit: Unit | None = None
    since: dt.datetime | dt.date | str = "1970-01-01"
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    decimal: Literal[".", ","] = "."
    values: dict[Scalar, Scalar | None] | None = None

    @field_validator("since")
    @classmethod
    def _is_time(cls, value: object) -> object:
        pd.Timestamp(str(value))  # raises ValueError
        return value

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (self.source,)


def _from_name(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


Column = Annotated[ColumnMapping, BeforeValidator(_from_name)]
_Two = Annotated[tuple[Column, Column], Field(strict=False)]


class Equal(_Strict):
    """Whether two columns are equal."""

    equal: _Two

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(column.source for column in self.equal)


class DaysBetween(_Strict):
    """Days from the time of one column to the time of another."""

    days_between: _Two

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(column.source for column in self.days_between)


def _form(value: object) -> str:
    keys = value if isinstance(value, dict) else ()
    return next((name for name in ("equal", "days_between") if name in keys or hasattr(value, name)), "from")


Source = ColumnMapping | Equal | DaysBetween
_AnySource = Annotated[
    Annotated[Column, Tag("from")] | Annotated[Equal, Tag("equal")] | Annotated[DaysBetween, Tag("days_between")],
    Discriminator(_form),
]


class LabelMapping(_Strict):
    """The label column, and which of its two values means abuse."""

    source: Annotated[str, Field(alias="from", min_length=1)]
    abuse: Scalar


def _by_name(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    if twice := [name for name in value if value.count(name) > 1]:
        raise ValueError(f"{twice[0]} appears twice")
    if wrong := [name for name in value if not isinstance(name, str)]:
        raise ValueError(f"{wrong[0]} is not text; put it in quotes")
    return {name: name for name in value}


_Extras = Annotated[dict[str, _AnySource], BeforeValidator(_by_name)]


class ExtraColumns(_Strict):
    """Columns that are not fields."""

    numeric: _Extras = {}
    categorical: _Extras = {}


class MappingFile(_Strict):
    """Contents of a mapping file; a column's name alone is short for {from: name}."""

    columns: dict[str, _AnySource]
    label: LabelMapping | None = None
    extra: ExtraColumns = ExtraColumns()

    @field_validator("extra", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        return {} if value is None else value


@dataclass(frozen=True)
class FieldMapping:
    """A valid mapping: the source of each field, the label, the extras and their sources."""

    columns: Mapping[str, Source]
    label: LabelMapping | None
    extra: Extra
    extra_sources: Mapping[str, Source] = field(default_factory=dict)


def read_mapping(path: Path) -> FieldMapping:
    """Read and validate a mapping file. Raises MappingError naming the invalid entry."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise MappingError(f"{path}: invalid YAML: {' '.join(str(error).split())[:160]}") from error
    if not isinstance(content, dict) or "columns" not in content:
        raise MappingError(f"{path}: the entry `columns` is missing")
    try:
        return validate_mapping(MappingFile.model_validate(content))
    except ValidationError as error:
        raise MappingError(f"{path}: {_first(error)}") from error
    except MappingError as error:
        raise MappingError(f"{path}: {error}") from error


_FORMS = ("date", "datetime", "str", "bool", "from", "equal", "days_between")
"""Parts of pydantic's locations that are not entries of the file."""


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    after = [*loc[1:], ""]
    path = [
        part for part, following in zip(loc, after, strict=True) if part not in _FORMS or following in ("", "0", "1")
    ]
    entry = ".".join(path)
    message = "unknown entry" if first["type"] == "extra_forbidden" else first["msg"]
    return f"{entry}: {message.removeprefix('Value error, ')}"


def validate_mapping(file: MappingFile) -> FieldMapping:
    """Check rules beyond the schema. Raises MappingError naming the entry."""
    for name, source in file.columns.items():
        if name not in FIELDS and name != "abuse_type":
            raise MappingError(f"{name} is not a field of Transaction; put other columns under `extra`")
        _check_source(name, source)
    if "timestamp" not in file.columns:
        raise MappingError("timestamp must be mapped; training and evaluation split in time")
    numeric, categorical = file.extra.numeric, file.extra.categorical
    names = (*numeric, *categorical)
    if clash := [name for name in names if name in TYPES]:
        raise MappingError(f"extra column {clash[0]} has the name of a field; rename it, {{other_name: {clash[0]}}}")
    if twice := [name for name in numeric if name in categorical]:
        raise MappingError(f"extra column {twice[0]} appears twice")
    if len(numeric) > MAX_PAIRS or len(categorical) > MAX_PAIRS:
        raise MappingError(f"an order can have at most {MAX_PAIRS} extra columns of a kind")
    sources = {**numeric, **categorical}
    for name, source in sources.items():
        if file.label and file.label.source in source.sources:
            raise MappingError(f"extra column {file.label.source} is the label")
        if isinstance(source, DaysBetween) and name in categorical:
            raise MappingError(f"extra column {name} is a number of days; move it to numeric")
    return FieldMapping(file.columns, file.label, Extra(tuple(numeric), tuple(categorical)), sources)


def _check_source(name: str, source: Source) -> None:
    kind, numbers = (FIELDS[name].kind, FIELDS[name].numbers) if name in FIELDS else ("text", {})
    if isinstance(source, Equal) and kind != "flag":
        raise MappingError(f"columns.{name}: equal yields a boolean, which {name} cannot be")
    if isinstance(source, DaysBetween) and kind not in ("count", "number"):
        raise MappingError(f"columns.{name}: days_between yields a number, which {name} cannot be")
    values: dict[Any, Any] = (isinstance(source, ColumnMapping) and source.values) or {}
    wrong = [value for value in values.values() if value is not None and str(value) not in numbers]
    if kind == "enum" and wrong:
        raise MappingError(
            f"columns.{name}.values: {wrong[0]} is not a valid {name}; expected one of {', '.join(numbers)}"
        )
