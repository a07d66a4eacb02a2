"""Suggests a mapping for a file: the probable field of each column. Pure; a person checks the result."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from contract.extras import MAX_TEXT_LENGTH
from contract.fields import FIELDS, LABEL_WEIGHT, LABELS
from ml_server.data.aliases import ABUSE_WORDS, AFTERWARDS, ALIASES, LABEL_NAMES, WORDS, simple
from ml_server.data.values import FLAGS, Series, numbers, times

ENOUGH: Final = 0.98
"""Share of values that must match a guess."""
FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%Y%m%d%H%M%S",
    "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p",
)  # fmt: skip
_UNITS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
_SHAPES = {
    "currency": r"[A-Za-z]{3}", "ip_country": r"[A-Za-z]{2}", "card_country": r"[A-Za-z]{2}", "billing_country": r"[A-Za-z]{2}",
    "shipping_country": r"[A-Za-z]{2}", "card_bin": r"\d{6}", "ip_address": r"[0-9a-fA-Fx.:]{3,45}",
    "email_domain": r".*[^\s@]+\.[^\s@.]+\.?",
}  # fmt: skip

_OWN_LABELS: Final = {*LABELS, LABEL_WEIGHT}
"""Label columns of our own files: a model that reads one of them has seen the answer."""


@dataclass(frozen=True)
class Guess:
    """Probable role of a column: field, label, extra (`numeric`, `categorical`) or `unused`, with the reason."""

    column: str
    role: str
    name: str
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()


def suggest(frame: pd.DataFrame) -> list[Guess]:
    """Return a guess for each column of a sample, in the order of the columns."""
    left = {str(name): frame[name] for name in frame.columns}
    guesses: dict[str, Guess] = {}
    if label := _label(left):
        guesses[label.column] = label
    for name in FIELDS:
        wanted = (name, *(simple(alias) for alias in ALIASES.get(name, ())))
        candidates = [column for column in left if simple(column) in wanted and column not in guesses]
        for column in sorted(candidates, key=lambda column: wanted.index(simple(column))):
            if (options := match_field(name, column, left[column])) is not None:
                why, more = options
                guesses[column] = Guess(column, "field", name, why, more, _examples(left[column]))
                break
    if not any(guess.name == "timestamp" and guess.role == "field" for guess in guesses.values()):
        for column, series in left.items():
            if column not in guesses and (found := _format(series)):
                why = "the first column of times; no column has a name for it"
                guesses[column] = Guess(column, "field", "timestamp", why, found, _examples(series))
                break
    for column, series in left.items():
        if column not in guesses:
            guesses[column] = _extra(column, series)
    return [guesses[column] for column in left]


def match_field(name: str, column: str, series: "Series[Any]") -> tuple[str, dict[str, Any]] | None:
    """Return reason and options if a column's values can be those of a field, else None."""
    known, kind = series.dropna(), FIELDS[name].kind
    if known.empty:
        return None
    texts = known.astype("string").str.strip()
    reason = "the name is the field's" if column == name else f"{column!r} is a common name for it"
    if kind == "time":
        found = _format(series, count=name == "timestamp")
        return None if found is None else (f"{reason}; {_describe_format(found)}", found)
    if kind in ("number", "count"):
        return _number(name, column, known, reason)
    if kind == "flag":
        share = texts.str.lower().isin(list(FLAGS)).mean()
        return (f"{reason}; yes and no", {}) if share >= ENOUGH else None
    if kind == "enum":
        return _enum(name, texts, reason)
    shape = _SHAPES.get(name)
    if shape and texts.str.fullmatch(shape).mean() < ENOUGH:
        return None
    if name == "transaction_id" and (series.isna().any() or not series.is_unique):
        return None
    if name == "user_id" and series.isna().any():
        return None
    return reason, {}


def _number(name: str, column: str, known: "Series[Any]", reason: str) -> tuple[str, dict[str, Any]] | None:
    options: dict[str, Any] = {}
    if _with_comma(known):
        options["decimal"] = ","
    read = numbers(known, options.get("decimal", "."))
    if read.notna().mean() < ENOUGH or (read < 0).mean() > 1 - ENOUGH:
        return None
    if name == "order_amount" and "cent" in simple(column) and (read.dropna() % 1 == 0).all():
        options["scale"] = 0.01
        reason += "; whole cents"
    return f"{reason}; numbers from {read.min():g} to {read.max():g}", options


def _with_comma(known: "Series[Any]") -> bool:
    if pd.api.types.is_numeric_dtype(known.dtype):
        return False
    return bool(known.astype("string").str.contains(r"\d,\d{1,2}\D*$", na=False).any())


def _enum(name: str, texts: "Series[Any]", reason: str) -> tuple[str, dict[str, Any]] | None:
    allowed, words = FIELDS[name].numbers, WORDS.get(name, {})
    values = list(texts.value_counts().index[:30])
    if texts.nunique() > 30:
        return None
    mapped = {value: simple(value) if simple(value) in allowed else words.get(simple(value)) for value in values}
    if not any(mapped.values()):
        return None
    if all(value == target for value, target in mapped.items()):
        return f"{reason}; its values are the field's", {}
    return f"{reason}; values translated, null is unknown", {"values": mapped}


def _format(series: "Series[Any]", count: bool = False) -> dict[str, Any] | None:
    """Return options to read a column as times, or None. `count` allows small numbers: seconds since an origin."""
    known = series.dropna()
    if known.empty or pd.api.types.is_bool_dtype(known.dtype):
        return None
    if pd.api.types.is_datetime64_any_dtype(known.dtype):
        return {}
    read = numbers(known)
    if read.notna().mean() >= ENOUGH and not known.astype("string").str.fullmatch(r"\d{8}|\d{14}").all():
        middle = float(read.median())
        for least, unit in _UNITS:
            if middle >= least:
                return {"unit": unit}
        return {"unit": "s", "since": "2024-01-01"} if count and read.min() >= 0 and read.nunique() > 2 else None
    sample = known.astype("string").head(2000)
    for candidate in FORMATS:
        if times(sample, candidate).notna().mean() >= ENOUGH:
            return {"format": candidate}
    return {} if sample.str.contains(r"\d{4}-\d\d-\d\d", na=False).all() and times(sample).notna().all() else None


def _describe_format(options: Mapping[str, Any]) -> str:
    if "since" in options:
        return "small numbers, assumed to be seconds since a day that you have to set"
    if "unit" in options:
        return f"numbers in the range of {options['unit']} since 1970"
    if options.get("format", "").startswith(("%d/%m", "%m/%d")):
        return f"times in the format {options['format']}; check day and month"
    return f"times in the format {options.get('format', 'ISO 8601')}"


def _label(columns: Mapping[str, "Series[Any]"]) -> Guess | None:
    two = {column: series for column, series in columns.items() if series.nunique() == 2 and series.notna().all()}
    named = sorted((LABEL_NAMES.index(simple(column)), column) for column in two if simple(column) in LABEL_NAMES)
    like = [column for column in two if any(word in simple(column) for word in AFTERWARDS[:2])]
    column = named[0][1] if named else next(iter(like), None)
    if column is None:
        return None
    counts = two[column].astype("string").str.strip().value_counts()
    words = [value for value in counts.index if value.lower() in ABUSE_WORDS]
    abuse = words[0] if len(words) == 1 else counts.index[-1]
    share = counts[abuse] / counts.sum()
    why = f"the name, and two values; {abuse!r} is {share:.2%} of the rows" + ("" if words else ", the rarer one")
    return Guess(column, "label", "label", why, {"abuse": str(abuse)}, _examples(two[column]))


def _extra(column: str, series: "Series[Any]") -> Guess:
    """Return a guess for a column that is not a field: a number, a category, or unused."""
    known, examples = series.dropna(), _examples(series)
    distinct, name = known.nunique(), simple(column)

    def unused(why: str) -> Guess:
        return Guess(column, "unused", column, why, {}, examples)

    if distinct < 2:
        return unused("it has at most one value")
    if name in _OWN_LABELS or any(word in name for word in AFTERWARDS):
        return unused("by its name it is known only after the outcome; add it if the shop knows it at checkout")
    options: dict[str, Any] = {"decimal": ","} if _with_comma(known) else {}
    numeric = numbers(known, options.get("decimal", ".")).notna().mean() >= ENOUGH
    coded = re.search(r"(^|_)(id|no|num|number|code|zip|bin)$", name)
    if distinct > 0.9 * len(known) and len(known) > 100 and (not numeric or coded):
        return unused("almost every row has a different value")
    if _format(series) is not None:
        return unused("it contains times; {days_between: [this, another]} gives a number")
    if numeric and not coded:
        return Guess(column, "numeric", column, f"numbers, {distinct:,} distinct", options, examples)
    if known.astype("string").str.len().max() > MAX_TEXT_LENGTH:
        return unused(f"texts of more than {MAX_TEXT_LENGTH} characters")
    return Guess(column, "categorical", column, f"{distinct:,} distinct values", {}, examples)


def _examples(series: "Series[Any]") -> tuple[str, ...]:
    return tuple(str(value) for value in series.dropna().drop_duplicates().head(3))
