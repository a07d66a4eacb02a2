"""Foreign data as Transactions: a YAML file says which column is which field.

columns:
  transaction_id: {from: order_no}
  timestamp: {from: placed, format: "%d/%m/%Y %H:%M"}     # or {from: secs, unit: seconds, since: 2024-01-01}
  order_amount: {from: cents, scale: 0.01}
  device_type: {from: dev, values: {PC: desktop, Phone: mobile}}
  user_id: customer                                       # short for {from: customer}
label: {from: chargeback, abuse: "Y"}                     # any two values; abuse_type may be a column of its own
extra: {numeric: [v1, v2], categorical: [product]}        # columns that are no field, as features of their own
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import pyarrow as pa
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from contract.fields import FIELDS, REQUIRED
from contract.schema import TYPES
from contract.tables import TRUE, TableError
from ml_server.features.feature_set import Extra

_FLAGS = {
    **dict.fromkeys([*TRUE, "yes", "y", "t"], True),
    **dict.fromkeys(["false", "0", "0.0", "no", "n", "f"], False),
}


class MappingError(ValueError):
    """A mapping that cannot be used; the message names the entry."""


Scalar = bool | int | float | str


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


Unit = Literal[
    "ns", "us", "ms", "s", "m", "h", "D",
    "nanoseconds", "microseconds", "milliseconds", "seconds", "minutes", "hours", "days",
]  # fmt: skip


class ColumnMapping(_Strict):
    """Where a field comes from, and how it is written there."""

    source: Annotated[str, Field(alias="from", min_length=1)]
    format: str | None = None
    unit: Unit | None = None
    since: dt.datetime | dt.date | str = "1970-01-01"
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    values: dict[Scalar, Scalar | None] | None = None

    @field_validator("since")
    @classmethod
    def _is_time(cls, value: object) -> object:
        pd.Timestamp(str(value))  # raises ValueError
        return value


class LabelMapping(_Strict):
    """The column of the label, and which of its two values means abuse."""

    source: Annotated[str, Field(alias="from", min_length=1)]
    abuse: Scalar


class ExtraColumns(_Strict):
    """TableColumns that are no field."""

    numeric: tuple[str, ...] = Field(default=(), strict=False)
    categorical: tuple[str, ...] = Field(default=(), strict=False)


class MappingFile(_Strict):
    """A mapping file as it is written; a column's name alone is short for {from: name}."""

    columns: dict[str, ColumnMapping]
    label: LabelMapping | None = None
    extra: ExtraColumns = ExtraColumns()

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: {"from": column} if isinstance(column, str) else column for name, column in value.items()}

    @field_validator("extra", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        return {} if value is None else value


@dataclass(frozen=True)
class FieldMapping:
    """A checked mapping: options by field, the label, and the extra columns."""

    columns: Mapping[str, ColumnMapping]
    label: LabelMapping | None
    extra: Extra


@dataclass
class Report:
    """What was noticed about the columns, each with its count."""

    lines: list[str] = field(default_factory=list)

    def note(self, column: str, count: int, total: int, what: str) -> None:
        """Tell something about `count` of `total` values."""
        if count:
            self.lines.append(f"{column}: {count:,} of {total:,} {what}")


def read_mapping(path: Path) -> FieldMapping:
    """Read and check a mapping file. Raises MappingError naming the entry that is wrong."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise MappingError(f"{path}: this is no YAML: {' '.join(str(error).split())[:160]}") from error
    if not isinstance(content, dict) or "columns" not in content:
        raise MappingError(f"{path}: it needs an entry `columns`")
    try:
        found = MappingFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("date", "datetime", "str", "bool"))
        said = "there is no such entry" if first["type"] == "extra_forbidden" else first["msg"]
        raise MappingError(f"{path}: {place}: {said.removeprefix('Value error, ')}") from error
    for name in found.columns:
        if name not in FIELDS and name != "abuse_type":
            raise MappingError(f"{path}: {name} is no field of Transaction")
    if "timestamp" not in found.columns:
        raise MappingError(f"{path}: timestamp must be mapped: training and evaluation split in time")
    extra = Extra(found.extra.numeric, found.extra.categorical)
    names = (*extra.numeric, *extra.categorical)
    if clash := [name for name in names if name in TYPES]:
        raise MappingError(f"{path}: extra column {clash[0]} has the name of a field: rename it in the data")
    if twice := [name for name in names if names.count(name) > 1]:
        raise MappingError(f"{path}: extra column {twice[0]} stands there twice")
    if found.label and found.label.source in names:
        raise MappingError(f"{path}: extra column {found.label.source} is the label")
    return FieldMapping(found.columns, found.label, extra)


def apply(mapping: FieldMapping, frame: pd.DataFrame, report: Report) -> pa.Table:
    """A table of Transactions from foreign columns. Values that cannot be read become unknown and are counted.

    Raises TableError where a mapped column is missing, a required one has unreadable values, or the label has not two.
    """
    wanted = [options.source for options in mapping.columns.values()]
    wanted += [*mapping.extra.numeric, *mapping.extra.categorical, *([mapping.label.source] if mapping.label else [])]
    if missing := [name for name in dict.fromkeys(wanted) if name not in frame.columns]:
        raise TableError(
            f"column {', '.join(missing)} is missing; the file has {', '.join(map(str, frame.columns[:50]))}"
        )
    result: dict[str, pa.Array] = {}
    for name, options in mapping.columns.items():
        series = _converted(name, options, frame[options.source], report)
        if name in REQUIRED and series.isna().any():
            raise TableError(f"column {options.source}: {int(series.isna().sum()):,} values cannot be a {name}")
        result[name] = pa.array(series, TYPES[name], from_pandas=True)
    _fill_required(result, len(frame), report)
    for name in mapping.extra.numeric:
        series = pd.to_numeric(frame[name], errors="coerce")
        report.note(
            name, int((series.isna() & frame[name].notna()).sum()), len(frame), "are no number, read as unknown"
        )
        result[name] = pa.array(series.astype("float64"), from_pandas=True)
    for name in mapping.extra.categorical:
        result[name] = pa.array(frame[name].astype("string"), pa.string(), from_pandas=True)
    if mapping.label:
        result["is_abuse"] = _label(mapping.label, frame[mapping.label.source])
    unused = [str(name) for name in frame.columns if name not in wanted]
    if unused and not any(line.startswith("unused") for line in report.lines):
        report.lines.append(f"unused columns: {', '.join(unused)}")
    report.lines += [
        f"{name}: has the name of a field, but is not mapped to it"
        for name in unused
        if name in FIELDS and not any(line.startswith(f"{name}:") for line in report.lines)
    ]
    return pa.table(result)


def _converted(name: str, options: ColumnMapping, source: "pd.Series[Any]", report: Report) -> "pd.Series[Any]":
    kind = FIELDS[name].kind if name in FIELDS else "text"
    series, column, total = source, options.source, len(source)
    if options.values is not None:
        known = {str(key): value for key, value in options.values.items()}
        text = series.astype("string")
        report.note(
            column, int((text.notna() & ~text.isin(list(known))).sum()), total, f"are no value of the mapping to {name}"
        )
        series = text.map(known)
    if kind == "time":
        result = _times(options, series)
    elif kind in ("number", "count"):
        result = pd.to_numeric(series, errors="coerce").astype("float64") * options.scale
        below = result < 0
        report.note(column, int(below.sum()), total, f"are below 0, which {name} cannot be: read as unknown")
        result = result.mask(below)
        if kind == "count":
            result = result.floordiv(1)
    elif kind == "flag":
        result = series.astype("string").str.strip().str.lower().map(_FLAGS).astype("boolean")
    else:
        result = series.astype("string")
        if kind == "enum":
            result = result.where(result.isin(list(FIELDS[name].numbers)))
    lost = int((series.notna() & result.isna()).sum())
    if kind not in ("number", "count") or lost:
        report.note(
            column,
            lost - (int(below.sum()) if kind in ("number", "count") else 0),
            total,
            f"are no {name}, read as unknown",
        )
    return result


def _times(options: ColumnMapping, series: "pd.Series[Any]") -> "pd.Series[Any]":
    if options.unit is not None:
        since = pd.Timestamp(str(options.since))
        parsed: Any = pd.to_timedelta(pd.to_numeric(series, errors="coerce"), unit=options.unit) + since
    else:
        parsed = pd.to_datetime(series, errors="coerce", format=options.format, utc=True).dt.tz_localize(None)
    result: pd.Series[Any] = parsed.astype("datetime64[s]")
    return result


def _fill_required(result: dict[str, pa.Array], rows: int, report: Report) -> None:
    """Ids that the data does not have: numbers of rows, and one user for each."""
    for name in ("transaction_id", "user_id"):
        if name not in result:
            result[name] = pa.array([f"row-{row + 1}" for row in range(rows)])
            report.note(name, rows, rows, "are not mapped: numbered by row")


def _label(label: LabelMapping, source: "pd.Series[Any]") -> pa.Array:
    text = source.astype("string").str.strip()
    values: Sequence[str] = sorted(text.dropna().unique())
    if len(values) > 2:
        counts = ", ".join(f"{value} ({int((text == value).sum()):,})" for value in values[:6])
        raise TableError(f"label column {label.source} has {len(values)} values, wanted two: {counts}")
    if text.isna().any():
        raise TableError(f"label column {label.source}: {int(text.isna().sum()):,} values are empty")
    if str(label.abuse) not in values:
        raise TableError(f"label column {label.source} has no value {label.abuse!r}; it has {', '.join(values)}")
    return pa.array((text == str(label.abuse)).to_numpy(dtype=bool))
