"""Finds the column of the label, and which of its values means abuse. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from ml_server.data.suggestion.aliases import ABUSE_WORDS, AFTERWARDS, HONEST_WORDS, LABEL_NAMES, simple
from ml_server.data.suggestion.guess import Guess, as_text, list_examples
from ml_server.data.values import FLAGS, Series

MOST: Final = 0.5
"""Share of abuse from which a label is probably read the wrong way round."""
_MARK: Final = re.compile(
    r"(?:suspected|confirmed|card|payment)?[ _-]?fraud(?:ulent)?|charge[ _-]?back|charged[ _-]?back|abuse|stolen[ _-]?card"
    r"|unrecognized",
    re.IGNORECASE,
)
_SEPARATOR: Final = ","
_MAX_VALUES: Final = 200
_MAX_LENGTH: Final = 200
_PASSED: Final = re.compile(
    r"(^|_)(passed|pass|ok|okay|valid|clean|cleared|clear|legit|legitimate|genuine|honest|good|safe|trusted|approved|no|not"
    r"|non|free|absent|paid)($|_)"
)


def guess_label(columns: Mapping[str, "Series[Any]"]) -> Guess | None:
    """Return the probable label of a file, or None. Only columns with two values, known in every row, qualify."""
    two = {column: series for column, series in columns.items() if series.nunique() == 2 and series.notna().all()}
    named = sorted((LABEL_NAMES.index(simple(column)), column) for column in two if simple(column) in LABEL_NAMES)
    like = [column for column in two if _about_abuse(column)]
    for column in [*(column for _, column in named), *like]:
        guess = _guess(column, two[column])
        if guess is not None:
            return guess
    marked = [column for column, series in columns.items() if column not in two and _marks(column, series)]
    for column in sorted(marked, key=lambda column: not _about_abuse(column)):
        return _guess_marked(column, columns[column])
    return None


def _marks(column: str, series: "Series[Any]") -> list[str]:
    """Return the values of a column, or of the lists in its cells, that mark abuse; none if it does not look like a label.

    Such a column names disputes or states, with an empty cell or another state for orders that are good.
    """
    cells = as_text(series)
    values = cells.drop_duplicates()
    if cells.empty or len(values) > _MAX_VALUES or cells.str.len().max() > _MAX_LENGTH:
        return []
    parts = [str(part) for part in values.str.split(_SEPARATOR).explode().str.strip().drop_duplicates() if part]
    marks = [part for part in parts if _MARK.fullmatch(part)]
    if not marks and _about_abuse(column) and len(parts) == 1 and series.isna().any():
        marks = [part for part in parts if part.casefold() in ABUSE_WORDS]
    share = cells.str.split(_SEPARATOR).explode().str.strip().isin(marks).sum() / len(series)
    return marks if share < MOST else []


def _guess_marked(column: str, series: "Series[Any]") -> Guess:
    """Return a label from a column in which only some values, or tags in its cells, mark abuse."""
    marks = _marks(column, series)
    cells = as_text(series)
    options: dict[str, Any] = {"abuse": marks[0] if len(marks) == 1 else marks, "others": "honest"}
    if series.isna().any():
        options["empty"] = "honest"
    if cells.str.contains(_SEPARATOR, regex=False).any():
        options["split"] = _SEPARATOR
    shown = ", ".join(repr(mark) for mark in marks)
    why = f"{shown} marks abuse, and all else, empty cells too, is assumed to be honest"
    return Guess(column, "label", "label", why, options, list_examples(series))


def _about_abuse(column: str) -> bool:
    name = simple(column)
    return any(word in name for word in AFTERWARDS[:2]) or re.search(r"(^|_)cbk?($|_)", name) is not None


def _guess(column: str, series: "Series[Any]") -> Guess | None:
    """Return the label with its value for abuse; None if the words leave it open."""
    counts = as_text(series).value_counts()
    passed = _PASSED.search(simple(column)) is not None
    abuse = _abuse_value([str(value) for value in counts.index], passed)
    by_words = abuse is not None
    if abuse is None:
        if passed:
            return None
        abuse = str(counts.index[-1])
    share = counts[abuse] / counts.sum()
    why = f"the name, and two values; {abuse!r} is {share:.2%} of the rows" + ("" if by_words else ", the rarer one")
    if passed:
        why = f"the name says that an order is good, so {abuse!r} is abuse; {share:.2%} of the rows"
    if share > MOST:
        if simple(column) not in LABEL_NAMES:
            return None
        why += "; that is most of them: check which value means abuse"
    return Guess(column, "label", "label", why, {"abuse": abuse}, list_examples(series))


def _abuse_value(values: list[str], passed: bool) -> str | None:
    """Return which of two values means abuse, by their words; None if the words do not tell."""
    lower = {value: value.casefold() for value in values}
    if passed:
        negative = [value for value, text in lower.items() if FLAGS.get(text) is False]
        return negative[0] if len(negative) == 1 else None
    bad = [value for value, text in lower.items() if text in ABUSE_WORDS]
    good = [value for value, text in lower.items() if text in HONEST_WORDS]
    if len(bad) == 1:
        return bad[0]
    return next(value for value in values if value != good[0]) if len(good) == 1 else None
