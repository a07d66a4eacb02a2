"""Suggests a mapping for a file: the probable field of each column. Pure; a person checks the result."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from contract.fields import FIELDS
from ml_server.data.suggestion.aliases import ALIASES, simple
from ml_server.data.suggestion.extras import guess_extra
from ml_server.data.suggestion.fields import find_time_format, match_field
from ml_server.data.suggestion.guess import Guess, list_examples
from ml_server.data.suggestion.labels import guess_label
from ml_server.data.suggestion.personal import is_email
from ml_server.data.values import Series

_Columns = Mapping[str, "Series[Any]"]


def suggest(frame: pd.DataFrame) -> list[Guess]:
    """Return a guess for each column of a sample, in the order of the columns."""
    columns: _Columns = {str(name): frame[name] for name in frame.columns}
    guesses: dict[str, Guess] = {}
    if label := guess_label(columns):
        guesses[label.column] = label
    for name in FIELDS:
        if guess := _by_name(name, columns, guesses):
            guesses[guess.column] = guess
    for guess in (_first_times(columns, guesses), _first_emails(columns, guesses)):
        if guess is not None:
            guesses[guess.column] = guess
    users = next((columns[guess.column] for guess in guesses.values() if _is_field(guess, "user_id")), None)
    return [guesses.get(column) or guess_extra(column, series, users) for column, series in columns.items()]


def _is_field(guess: Guess, name: str) -> bool:
    return guess.role == "field" and guess.name == name


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
    if any(_is_field(guess, "timestamp") for guess in taken.values()):
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
    if any(_is_field(guess, "email_domain") for guess in taken.values()):
        return None
    for column, series in columns.items():
        if column not in taken and is_email(series):
            why = "it contains e-mail addresses, of which only the domain is read"
            return Guess(column, "field", "email_domain", why, {}, list_examples(series))
    return None
