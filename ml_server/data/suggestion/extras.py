"""Guesses what a column that is no field can be: a number, a category, or nothing that a model may read. Pure."""

import re
from typing import Any, Final

from contract.extras import MAX_TEXT_LENGTH
from contract.fields import LABEL_WEIGHT, LABELS
from ml_server.data.readings.cells import is_typed
from ml_server.data.readings.numbers import currency_words
from ml_server.data.suggestion.aliases import simple
from ml_server.data.suggestion.fields import find_decimal, find_time_format
from ml_server.data.suggestion.guess import ENOUGH, Guess, as_text, list_examples
from ml_server.data.suggestion.outcomes import is_state, outcome_reason
from ml_server.data.suggestion.personal import personal_reason
from ml_server.data.values import Series, numbers

_OWN_LABELS: Final = {*LABELS, LABEL_WEIGHT}
"""Label columns of our own files: a model that reads one of them has seen the answer."""
_CODED: Final = re.compile(
    r"(^|_)(id|no|num|number|code|zip|postcode|bin|ref|reference|token|hash|last_?4|last_?four|suffix|pan)$"
)


def guess_extra(column: str, series: "Series[Any]", users: "Series[Any] | None") -> Guess:
    """Return a guess for a column that is not a field. `users` are the user ids of the rows, if known."""
    known, examples = series.dropna(), list_examples(series)
    distinct, name = known.nunique(), simple(column)

    def unused(why: str) -> Guess:
        return Guess(column, "unused", column, why, {}, examples)

    if distinct == 0 or (distinct == 1 and series.notna().all()):
        return unused("it has at most one value")
    if name in _OWN_LABELS:
        return unused("it is a label of Vouch's own files")
    if why := outcome_reason(column, series):
        return unused(why)
    decimal, question = find_decimal(column, known)
    options: dict[str, Any] = {"decimal": decimal} if decimal == "," else {}
    numeric = numbers(known, decimal).notna().mean() >= ENOUGH and not _are_codes(known)
    coded = _CODED.search(name)
    if why := personal_reason(column, series, None if numeric and not coded else users):
        return unused(why)
    if numeric and _numbers_rows(numbers(series)):
        return unused("it numbers the rows")
    if distinct > 0.9 * len(known) and len(known) > 100 and (not numeric or coded):
        return unused("almost every row has a different value")
    if find_time_format(series) is not None:
        return unused("it contains times; {days_between: [this, another]} gives a number")
    if numeric and not coded and distinct > 1:
        why = f"numbers, {distinct:,} distinct" + (f"; {question}" if question else "")
        return Guess(column, "numeric", column, why, options, examples)
    if known.astype("string").str.len().max() > MAX_TEXT_LENGTH:
        return unused(f"texts of more than {MAX_TEXT_LENGTH} characters")
    why = f"{distinct:,} distinct values"
    if is_state(column):
        why += "; a state: make sure that the file has it as it was at checkout"
    return Guess(column, "categorical", column, why, {}, examples)


def _numbers_rows(values: "Series[Any]") -> bool:
    """Return whether each value is the one before plus one."""
    return len(values) > 2 and bool((values.diff().iloc[1:] == 1).all())


def _are_codes(known: "Series[Any]") -> bool:
    """Return whether values are names with a number, such as M12 or Job 9, whose letters are no currency."""
    if is_typed(known):
        return False
    letters = as_text(known).str.extract(r"^([^\W\d_]{1,3})[ _-]?\d+$", expand=False).dropna().str.casefold()
    return len(letters) > 0.5 * len(known) and not letters.isin(list(currency_words())).all()
