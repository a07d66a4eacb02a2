"""Finds the column of the label, and which of its values means abuse. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from ml_server.data.suggestion.aliases import ABUSE_WORDS, AFTERWARDS, HONEST_WORDS, LABEL_NAMES, simple
from ml_server.data.suggestion.guess import Guess, as_text, list_examples
from ml_server.data.values import FLAGS, Series

MOST: Final = 0.5
"""Share of abuse from which a label is probably read the wrong way round."""
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
    return None


def _about_abuse(column: str) -> bool:
    name = simple(column)
    return any(word in name for word in AFTERWARDS[:2]) or re.search(r"(^|_)cbk?($|_)", name) is not None


def _guess(column: str, series: "Series[Any]") -> Guess | None:
    """Return the label with its value for abuse; None if that value cannot be told."""
    counts = as_text(series).value_counts()
    passed = _PASSED.search(simple(column)) is not None
    abuse = _abuse_value([str(value) for value in counts.index], passed)
    told = abuse is not None
    if abuse is None:
        if passed:
            return None
        abuse = str(counts.index[-1])
    share = counts[abuse] / counts.sum()
    why = f"the name, and two values; {abuse!r} is {share:.2%} of the rows" + ("" if told else ", the rarer one")
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
