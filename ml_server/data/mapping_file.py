"""Reading and checking of mapping files."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from contract.extras import MAX_PAIRS
from contract.fields import FIELDS, REQUIRED, Field
from contract.files.dialects import FIND_ALL, Dialect
from contract.schema import TYPES
from ml_server.data.mapping_schema import (
    ColumnMapping,
    Conditions,
    Constant,
    DaysBetween,
    Equal,
    Label,
    LabelColumn,
    LabelRows,
    MappingFile,
    Source,
    Sum,
    Zone,
)
from ml_server.data.readings.flags import FLAGS
from ml_server.features.feature_set import Extra

__all__ = [
    "ColumnMapping",
    "DaysBetween",
    "Equal",
    "FieldMapping",
    "LabelColumn",
    "MappingError",
    "Source",
    "read_mapping",
]


class MappingError(ValueError):
    """An invalid mapping; the message names the entry."""


@dataclass(frozen=True)
class Targets:
    """What a file's columns are mapped to: fields, which of them every row needs, and what the file must map."""

    fields: Mapping[str, Field]
    required: Collection[str]
    mapped: Mapping[str, str]
    """Fields that must be mapped, and why."""
    name: str
    others: Collection[str] = ()
    """Columns of files that are no fields, but may be mapped."""
    numbered: Collection[str] = ("transaction_id", "user_id")
    """Fields that are numbered by row if they are not mapped."""
    unique: bool = True
    """Whether each row has a transaction_id of its own."""


ORDERS: Final = Targets(
    FIELDS, REQUIRED, {"timestamp": "training and evaluation split in time"}, "Transaction", ("abuse_type",)
)


@dataclass(frozen=True)
class FieldMapping:
    """A valid mapping: the source of each field, the label, the extras and their sources, and how the file is written."""

    columns: Mapping[str, Source]
    label: Label | None
    extra: Extra
    extra_sources: Mapping[str, Source] = field(default_factory=dict)
    dialect: Dialect = FIND_ALL
    decimal: str | None = None
    nulls: tuple[str, ...] = ()
    timezone: Zone | None = None
    where: Conditions = field(default_factory=dict)
    lines: str | Sum = "refuse"
    targets: Targets = ORDERS
    labelled: bool = True

    def without_label(self) -> "FieldMapping":
        """Return the mapping for files whose labels are not read. Rows that only label others are still no orders."""
        return replace(self, label=self.label if isinstance(self.label, LabelRows) else None, labelled=False)

    def extra_source(self, name: str) -> Source:
        """Return the source of an extra."""
        return self.extra_sources.get(name) or ColumnMapping(source=name)

    @property
    def sources(self) -> Mapping[str, Source]:
        """The sources of all fields and extras, by name."""
        return {**self.columns, **{name: self.extra_source(name) for name in self.extra.names}}

    @property
    def used(self) -> list[str]:
        """The columns of the file that are read."""
        names = [column for source in self.sources.values() for column in source.sources]
        names += self.label.sources if self.label else ()
        names += [*self.where, *([] if isinstance(self.timezone, str | None) else [self.timezone.source])]
        return list(dict.fromkeys(names))


def read_mapping(path: Path, targets: Targets = ORDERS) -> FieldMapping:
    """Read and validate a mapping file. Raises MappingError naming the invalid entry."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise MappingError(f"{path}: invalid YAML: {' '.join(str(error).split())[:160]}") from error
    if not isinstance(content, dict) or "columns" not in content:
        raise MappingError(f"{path}: the entry `columns` is missing")
    try:
        return validate_mapping(MappingFile.model_validate(content), targets)
    except ValidationError as error:
        raise MappingError(f"{path}: {_describe_error(error)}") from error
    except MappingError as error:
        raise MappingError(f"{path}: {error}") from error


_LOCATIONS: Final = (
    "date", "datetime", "str", "bool", "int", "float", "from", "equal", "days_between", "constant", "column", "ZoneColumn",
    "ColumnMapping", "Sum", "literal['refuse','first']", "constrained-str",
)  # fmt: skip
"""Parts of pydantic's locations that are not entries of the file."""


def _describe_error(error: ValidationError) -> str:
    """Describe the first problem of a ValidationError, with its entry."""
    first = error.errors()[0]
    loc = [str(part) for part in first["loc"]]
    after = [*loc[1:], ""]
    path = [
        part
        for part, following in zip(loc, after, strict=True)
        if (part not in _LOCATIONS or following in ("", "0", "1")) and "[" not in part
    ]
    message = "unknown entry" if first["type"] == "extra_forbidden" else first["msg"]
    return f"{'.'.join(path)}: {message.removeprefix('Value error, ')}"


def validate_mapping(file: MappingFile, targets: Targets = ORDERS) -> FieldMapping:
    """Check rules beyond the schema. Raises MappingError naming the entry."""
    for name, source in file.columns.items():
        if name not in targets.fields and name not in targets.others:
            raise MappingError(f"{name} is not a field of {targets.name}; put other columns under `extra`")
        _check_source(name, source, targets.fields)
    for name, why in targets.mapped.items():
        if name not in file.columns:
            raise MappingError(f"{name} must be mapped; {why}")
    _check_extra(file)
    _check_lines(file)
    entry = file.dialect
    dialect = Dialect(entry.separator, entry.encoding, entry.skip, entry.quote, entry.sheet, entry.member)
    return FieldMapping(
        file.columns, file.label, Extra(tuple(file.extra.numeric), tuple(file.extra.categorical)),
        {**file.extra.numeric, **file.extra.categorical}, dialect, entry.decimal, tuple(map(str, file.nulls)), file.timezone,
        file.where, file.lines, targets,
    )  # fmt: skip


def _check_extra(file: MappingFile) -> None:
    numeric, categorical = file.extra.numeric, file.extra.categorical
    if clash := [name for name in (*numeric, *categorical) if name in TYPES]:
        raise MappingError(f"extra column {clash[0]} has the name of a field; rename it, {{other_name: {clash[0]}}}")
    if twice := [name for name in numeric if name in categorical]:
        raise MappingError(f"extra column {twice[0]} appears twice")
    if len(numeric) > MAX_PAIRS or len(categorical) > MAX_PAIRS:
        raise MappingError(f"an order can have at most {MAX_PAIRS} extra columns of a kind")
    for name, source in {**numeric, **categorical}.items():
        if isinstance(file.label, LabelColumn) and file.label.source in source.sources:
            raise MappingError(f"extra column {file.label.source} is the label")
        if isinstance(source, DaysBetween) and name in categorical:
            raise MappingError(f"extra column {name} is a number of days; move it to numeric")
        if isinstance(source, Constant):
            raise MappingError(f"extra column {name} is the same in every row, so it says nothing")


def _check_lines(file: MappingFile) -> None:
    if file.lines == "refuse" and not isinstance(file.label, LabelRows):
        return
    if "transaction_id" not in file.columns:
        entry = "lines" if file.lines != "refuse" else "label.refers"
        raise MappingError(f"{entry}: transaction_id must be mapped; it says which rows belong together")
    if isinstance(file.lines, Sum):
        sums = {name for name in file.lines.sum if name in file.extra.numeric}
        sums |= {name for name in file.lines.sum if name in file.columns and FIELDS[name].kind in ("number", "count")}
        if wrong := [name for name in file.lines.sum if name not in sums]:
            raise MappingError(f"lines.sum: {wrong[0]} is not a mapped field or extra that is a number")


def _check_source(name: str, source: Source, fields: Mapping[str, Field]) -> None:
    kind, numbers = (fields[name].kind, fields[name].numbers) if name in fields else ("text", {})
    if isinstance(source, Equal) and kind != "flag":
        raise MappingError(f"columns.{name}: equal yields a boolean, which {name} cannot be")
    if isinstance(source, DaysBetween) and kind not in ("count", "number"):
        raise MappingError(f"columns.{name}: days_between yields a number, which {name} cannot be")
    if isinstance(source, Constant):
        _check_constant(name, source, kind, numbers)
    if isinstance(source, ColumnMapping) and len(source.joined) > 1 and kind not in ("time", "text"):
        raise MappingError(f"columns.{name}: only times and texts can be joined from several columns")
    values: dict[Any, Any] = (isinstance(source, ColumnMapping) and source.values) or {}
    wrong = [value for value in values.values() if value is not None and str(value) not in numbers]
    if kind == "enum" and wrong:
        raise MappingError(
            f"columns.{name}.values: {wrong[0]} is not a valid {name}; expected one of {', '.join(numbers)}"
        )


def _check_constant(name: str, source: Constant, kind: str, numbers: Collection[str]) -> None:
    value, text = source.constant, str(source.constant)
    if name in ("transaction_id", "user_id") or kind == "time":
        raise MappingError(f"columns.{name}: it differs from row to row, so it cannot be constant")
    if kind == "enum" and text not in numbers:
        raise MappingError(
            f"columns.{name}.constant: {text} is not a valid {name}; expected one of {', '.join(numbers)}"
        )
    if kind == "flag" and text.lower() not in FLAGS:
        raise MappingError(f"columns.{name}.constant: {text} is not true or false")
    if kind in ("number", "count") and (isinstance(value, bool | str) or value < 0):
        raise MappingError(f"columns.{name}.constant: {text} is not a number of 0 or more")
