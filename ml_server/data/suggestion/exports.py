"""Recognises the export formats of shop systems and payment providers by their headers.

Each format is a file in exports/: the headers that identify it, the mapping, and columns that are no use with the
reason. An entry of `columns` may be a list, of which the first column in the file is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml
from pydantic import TypeAdapter

from contract.fields import FIELDS
from ml_server.data.mapping_schema import Conditions
from ml_server.data.readings.rows import meet
from ml_server.data.suggestion.fields import find_decimal, find_time_format, match_field
from ml_server.data.suggestion.guess import Guess, as_text, list_examples
from ml_server.data.values import Series

_FOLDER: Final = Path(__file__).parent / "exports"
_CONDITIONS: Final = TypeAdapter(Conditions)
_Columns = Mapping[str, "Series[Any]"]


@dataclass(frozen=True)
class Export:
    """An export format, and the mapping in its file."""

    name: str
    headers: tuple[str, ...]
    columns: Mapping[str, Any]
    labels: tuple[Mapping[str, Any], ...]
    unused: Mapping[str, str]
    rows: Mapping[str, Any]
    """`where` and `lines`: which rows are orders."""


@cache
def read_exports() -> tuple[Export, ...]:
    """Return all formats, those with more identifying headers first."""
    read = [yaml.safe_load(path.read_text()) for path in sorted(_FOLDER.glob("*.yaml"))]
    exports = (
        Export(
            entry["name"], tuple(entry["headers"]), entry["columns"], tuple(entry["labels"]), entry["unused"],
            {key: entry[key] for key in ("where", "lines") if key in entry},
        )
        for entry in read
    )  # fmt: skip
    return tuple(sorted(exports, key=lambda export: -len(export.headers)))


def recognize(columns: _Columns) -> Export | None:
    """Return the format of a file with these columns, or None."""
    lower = {column.strip().casefold() for column in columns}
    return next((one for one in read_exports() if {header.casefold() for header in one.headers} <= lower), None)


def guess_fields(export: Export, columns: _Columns) -> list[Guess]:
    """Return the fields of a recognized file, each with the options that its values need."""
    why = f"as in exports of {export.name}"
    guesses = []
    for name, entry in export.columns.items():
        candidates = entry if isinstance(entry, list) else [entry]
        options = next((found for one in candidates if (found := _present(one, columns)) is not None), None)
        if options is not None and (guess := _fit(name, options, columns, why)) is not None:
            guesses.append(guess)
    return guesses


def used_rows(export: Export, columns: _Columns) -> dict[str, Any]:
    """Return `where` and `lines` as far as the file has the columns."""
    rows = dict(export.rows)
    if "where" in rows:
        rows["where"] = {column: values for column, values in rows["where"].items() if column in columns}
    return {key: value for key, value in rows.items() if value}


def order_rows(guesses: Sequence[Guess], rows: Mapping[str, Any], columns: _Columns) -> _Columns:
    """Return the columns with only the rows that are orders, the first of each."""
    frame = pd.DataFrame(dict(columns))
    if "where" in rows:
        frame = frame[meet(_CONDITIONS.validate_python(rows["where"]), frame)]
    ids = [guess.column for guess in guesses if guess.name == "transaction_id"]
    if "lines" in rows and ids:
        frame = frame.drop_duplicates(ids[0])
    return {str(name): frame[name] for name in frame.columns}


def guess_export_label(export: Export, columns: _Columns) -> Guess | None:
    """Return the first label of the format whose values for abuse occur in the file, or None."""
    for label in export.labels:
        column, values = next(iter(label["rows"].items())) if "rows" in label else (label["from"], label["abuse"])
        if column not in columns or ("refers" in label and label["refers"] not in columns):
            continue
        texts = as_text(columns[column])
        cells = texts.str.split(label["split"]).explode().str.strip() if "split" in label else texts
        found = int(cells.str.casefold().isin([value.casefold() for value in values]).sum())
        if found:
            why = f"as in exports of {export.name}; {found:,} of {len(columns[column]):,} rows"
            return Guess(column, "label", "label", why, dict(label), list_examples(columns[column]))
    return None


def _present(entry: Any, columns: _Columns) -> dict[str, Any] | None:
    """Return an entry without the columns that the file lacks, or None if nothing is left."""
    options: dict[str, Any] = {"from": entry} if isinstance(entry, str) else dict(entry)
    if "constant" in options:
        return options
    if "equal" in options:
        return options if all(_has(column, columns) for column in options["equal"]) else None
    source: Any = options["from"]
    fallback = [column for column in options.pop("fallback", ()) if _has(column, columns)]
    if isinstance(source, str) and not _has(source, columns):
        if not fallback:
            return None
        source, *fallback = fallback
    names: list[str] = [source] if isinstance(source, str) else source
    if not all(_has(column, columns) for column in names):
        return None
    if isinstance(options.get("timezone"), dict) and not _has(options["timezone"]["from"], columns):
        del options["timezone"]
    needed: list[str] = []
    empty = columns[names[0]].isna()
    for column in fallback:
        if empty.any():
            needed.append(column)
            empty &= columns[column].isna()
    return options | {"from": source} | ({"fallback": needed} if needed else {})


def _has(column: str, columns: _Columns) -> bool:
    return column in columns and bool(columns[column].notna().any())


def _fit(name: str, options: dict[str, Any], columns: _Columns, why: str) -> Guess | None:
    """Return a field with the format of its values, or None if the values cannot be the field's."""
    if "constant" in options or "equal" in options:
        first: str = options["equal"][0] if "equal" in options else ""
        return Guess(first, "field", name, why, options, list_examples(columns[first]) if first else ())
    source, kind = options["from"], FIELDS[name].kind
    column = source if isinstance(source, str) else source[0]
    series = columns[column]
    if kind == "time" and not {"format", "unit"} & set(options):
        found = find_time_format(series)
        if found is None:
            return None
        options |= found
    elif kind in ("number", "count"):
        decimal, question = find_decimal(column, series.dropna())
        options |= {"decimal": decimal} if decimal == "," else {}
        why += f"; {question}" if question else ""
    elif "values" in options:
        known = {str(key).casefold(): value for key, value in options["values"].items()}
        options["values"] = {value: known.get(value.casefold()) for value in as_text(series).drop_duplicates().head(30)}
        if not any(options["values"].values()):
            return None
    elif kind == "text" and name not in ("transaction_id", "user_id") and match_field(name, column, series) is None:
        return None
    return Guess(column, "field", name, why, options, list_examples(series))
