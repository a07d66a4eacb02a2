"""Suggests a mapping for a file: the probable field of each column. Pure; a person checks the result."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from contract.fields import FIELDS
from ml_server.data.suggestion.aliases import ALIASES, simple
from ml_server.data.suggestion.exports import guess_export_label, guess_fields, order_rows, recognize, used_rows
from ml_server.data.suggestion.extras import guess_extra
from ml_server.data.suggestion.fields import find_time_format, match_field
from ml_server.data.suggestion.guess import Guess, list_examples
from ml_server.data.suggestion.labels import guess_label
from ml_server.data.suggestion.personal import is_email
from ml_server.data.values import Series

_Columns = Mapping[str, "Series[Any]"]
_GUESTS: Final = ("card_id", "device_id")
"""Fields whose columns stand in for an empty user id, after columns of e-mail addresses."""


@dataclass(frozen=True)
class Suggestion:
    """A guess for each column and field, which rows are orders, and the name of the export format, if it is known."""

    guesses: Sequence[Guess]
    rows: Mapping[str, Any] = field(default_factory=dict)
    export: str | None = None


def suggest(frame: pd.DataFrame) -> Suggestion:
    """Return a suggestion for a sample of a file."""
    columns: _Columns = {str(name): frame[name] for name in frame.columns}
    export = recognize(columns)
    rows = used_rows(export, columns) if export else {}
    leave_out = {name: why for name, why in export.unused.items() if name in columns} if export else {}
    label = (guess_export_label(export, columns) if export else None) or guess_label(columns)
    known = guess_fields(export, columns) if export else []
    columns = order_rows(known, rows, columns)
    used = {column for guess in ([*known, label] if label else known) for column in guess.columns}
    others = {name: series for name, series in columns.items() if name not in used and name not in leave_out}
    guesses = known + _guess_fields(others, columns, {guess.name for guess in known})
    user = next((guess.column for guess in guesses if guess.name == "user_id"), None)
    guesses += [label] if label else []
    taken = {column for guess in guesses for column in guess.columns}
    for column, series in columns.items():
        if column in leave_out:
            guesses.append(Guess(column, "unused", column, leave_out[column], {}, list_examples(series)))
        elif column not in taken:
            guesses.append(guess_extra(column, series, columns[user] if user else None))
    return Suggestion(guesses, rows, export.name if export else None)


def _guess_fields(columns: _Columns, every: _Columns, known: Collection[str]) -> list[Guess]:
    """Return the fields that columns can be, without the known ones. `every` are all columns of the file."""
    guesses: dict[str, Guess] = {}
    for name in FIELDS:
        if name not in known and (guess := _by_name(name, columns, guesses)):
            guesses[guess.column] = guess
    for name, find in (("timestamp", _first_times), ("email_domain", _first_emails)):
        if name not in known and (guess := find(columns, guesses)):
            guesses[guess.column] = guess
    found = [guesses[column] for column in columns if column in guesses]
    if "user_id" not in {*known, *(guess.name for guess in found)} and (user := _user(every, found)):
        found.append(user)
    return found


def _by_name(name: str, columns: _Columns, taken: Mapping[str, Guess]) -> Guess | None:
    """Return the column whose name is a field's, or a common one for it, and whose values fit."""
    wanted = (name, *(simple(alias) for alias in ALIASES.get(name, ())))
    candidates = [column for column in columns if simple(column) in wanted and column not in taken]
    for column in sorted(candidates, key=lambda column: wanted.index(simple(column))):
        if (found := match_field(name, column, columns[column])) is not None:
            why, options = found
            return Guess(column, "field", name, why, options, list_examples(columns[column]))
    return None


def _first_times(columns: _Columns, taken: Mapping[str, Guess]) -> Guess | None:
    """Return the first column of times as the timestamp, if none has a name for it. Texts come before numbers."""
    if any(guess.name == "timestamp" for guess in taken.values()):
        return None
    found = {
        column: options
        for column, series in columns.items()
        if column not in taken and (options := find_time_format(series)) is not None
    }
    for column in sorted(found, key=lambda column: "unit" in found[column]):
        why = "the first column of times; no column has a name for it"
        return Guess(column, "field", "timestamp", why, found[column], list_examples(columns[column]))
    return None


def _first_emails(columns: _Columns, taken: Mapping[str, Guess]) -> Guess | None:
    """Return the first column of e-mail addresses as email_domain, whatever its name is."""
    if any(guess.name == "email_domain" for guess in taken.values()):
        return None
    for column, series in columns.items():
        if column not in taken and is_email(series):
            why = "it contains e-mail addresses, of which only the domain is read"
            return Guess(column, "field", "email_domain", why, {}, list_examples(series))
    return None


def _user(columns: _Columns, fields: Sequence[Guess]) -> Guess | None:
    """Return who ordered if no single column tells it in each row: ids first, then e-mail addresses, cards, devices."""
    wanted = ("user_id", *(simple(alias) for alias in ALIASES["user_id"]))
    ids = [column for column in columns if simple(column) in wanted and columns[column].notna().any()]
    emails = [column for column, series in columns.items() if is_email(series)]
    others = [guess.column for name in _GUESTS for guess in fields if guess.name == name]
    used = {guess.column for guess in fields} - {*emails, *others}
    sources = [column for column in dict.fromkeys([*ids, *emails, *others]) if column not in used]
    for count in range(1, len(sources) + 1):
        first, *rest = sources[:count]
        if not columns[first].isna().all() and not frame_of(columns, sources[:count]).isna().all(axis=1).any():
            why = "who ordered" + (", with other columns where it is empty" if rest else "")
            return Guess(
                first, "field", "user_id", why, {"fallback": rest} if rest else {}, list_examples(columns[first])
            )
    return None


def frame_of(columns: _Columns, names: Sequence[str]) -> pd.DataFrame:
    """Return some columns as a frame."""
    return pd.DataFrame({name: columns[name] for name in names})
