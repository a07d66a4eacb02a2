"""How features are computed: each operation once for columns and once for one message, equal to the last bit.

The two forms stand side by side so that a reader can compare them; a test compares them on thousands of rows.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

from ml_server.inputs import NAN, ColumnSource, Fields, Numbers

DAY = 86_400


class Operation(ABC):
    """Computes one number for each order; NaN stands for unknown."""

    inputs: tuple[str, ...]

    @abstractmethod
    def column(self, columns: ColumnSource) -> Numbers:
        """Values for a table, shape (rows,)."""

    @abstractmethod
    def value(self, fields: Fields) -> float:
        """Value for one message."""


@dataclass(frozen=True)
class Value(Operation):
    """A number, flag or name as it stands."""

    name: str
    inputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", (self.name,))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        return columns.number(self.name)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        return fields.get(self.name, NAN)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Arithmetic(Operation):
    """Two or more numbers combined by an arithmetic that is the same for a float and an array."""

    inputs: tuple[str, ...]
    formula: Callable[..., Any]
    _read: Callable[[Fields], tuple[Any, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_read", itemgetter(*self.inputs))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        with np.errstate(all="ignore"):
            result = np.asarray(self.formula(*(columns.number(name) for name in self.inputs)), dtype=np.float64)
        return np.where(np.isinf(result), NAN, result)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        try:
            result = self.formula(*self._read(fields))
        except (KeyError, ZeroDivisionError, OverflowError):
            return NAN
        return NAN if math.isinf(result) else result  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Differs(Operation):
    """1 where two texts differ, 0 where they agree."""

    inputs: tuple[str, str]

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        first, second = (columns.text(name) for name in self.inputs)
        place = {text: code for code, text in enumerate(first.values)}
        # -2 is a text that the first column does not have: unknown (-1) and that one never agree with a code.
        translation = np.array([*(place.get(text, -2) for text in second.values), -1], dtype=np.int64)
        other = translation[second.codes]
        return np.where((first.codes < 0) | (other == -1), NAN, (first.codes != other).astype(np.float64))

    def value(self, fields: Fields) -> float:
        """See Operation."""
        first, second = self.inputs
        one, other = fields.get(first), fields.get(second)
        return NAN if one is None or other is None else one != other


@dataclass(frozen=True)
class TextScore(Operation):
    """A number that a function gives each text."""

    name: str
    score: Callable[[str], float]
    inputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", (self.name,))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        text = columns.text(self.name)
        return np.array([*(self.score(value) for value in text.values), NAN], dtype=np.float64)[text.codes]

    def value(self, fields: Fields) -> float:
        """See Operation."""
        text = fields.get(self.name)
        return NAN if text is None else self.score(text)


@dataclass(frozen=True)
class Ranked(Operation):
    """Place of a text in an order learned in training (least to most abuse); texts rare in training are unknown."""

    name: str
    order: Mapping[str, float]
    inputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", (self.name,))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        text = columns.text(self.name)
        return np.array([*(self.order.get(value, NAN) for value in text.values), NAN], dtype=np.float64)[text.codes]

    def value(self, fields: Fields) -> float:
        """See Operation."""
        return self.order.get(fields.get(self.name), NAN)  # type: ignore[arg-type]


@dataclass(frozen=True)
class FromTime(Operation):
    """A number computed from the timestamp's whole seconds since 1970, in UTC."""

    formula: Callable[[Any], Any]
    inputs: tuple[str, ...] = ("timestamp",)

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        return np.asarray(self.formula(columns.number("timestamp")), dtype=np.float64)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        timestamp = fields.get("timestamp")
        return NAN if timestamp is None else float(self.formula(float(timestamp.seconds)))


@dataclass(frozen=True)
class AccountAge(Operation):
    """Age of the account in days: as given, or else from the date of its opening."""

    inputs: tuple[str, ...] = ("account_age_days", "account_created_date", "timestamp")

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        given = columns.number("account_age_days")
        seconds = columns.number("timestamp") - columns.number("account_created_date")
        computed = np.where(seconds >= 0, np.floor(seconds / DAY), NAN)
        return np.where(np.isnan(given), computed, given)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        given = fields.get("account_age_days")
        if given is not None:
            return float(given)
        opened, now = fields.get("account_created_date"), fields.get("timestamp")
        if opened is None or now is None or now.seconds < opened.seconds:
            return NAN
        return float(math.floor((now.seconds - opened.seconds) / DAY))


# fmt: off
FREE_MAIL = frozenset((
    "gmail.com", "googlemail.com", "yahoo.com", "ymail.com", "hotmail.com", "outlook.com", "live.com",
    "msn.com", "icloud.com", "me.com", "aol.com", "gmx.de", "gmx.net", "gmx.at", "web.de", "protonmail.com",
    "proton.me", "mail.com", "mail.ru", "yandex.ru", "orange.fr", "free.fr", "laposte.net", "libero.it",
    "virgilio.it", "wp.pl", "o2.pl", "onet.pl", "seznam.cz", "qq.com", "163.com", "naver.com", "zoho.com",
    "fastmail.com",
))
# fmt: on
DOCUMENTED_DISPOSABLE = frozenset(("tempmail.net", "throwaway.email", "tempmail.com", "throwaway.com"))
PRIVATE, FREE, DISPOSABLE = 0.0, 1.0, 2.0


@cache
def disposable_mail() -> frozenset[str]:
    """The kept list of throw-away mail domains, with the documented ones."""
    from disposable_email_domains import blocklist

    return frozenset(blocklist) | DOCUMENTED_DISPOSABLE


@lru_cache(maxsize=65_536)
def mail_kind(domain: str) -> float:
    """PRIVATE, FREE or DISPOSABLE of a normalised domain; a subdomain counts as its domain."""
    if domain in FREE_MAIL:
        return FREE
    listed, parts = disposable_mail(), domain.split(".")
    if any(".".join(parts[start:]) in listed for start in range(len(parts) - 1)):
        return DISPOSABLE
    return PRIVATE


_BOT = re.compile(
    r"headless|bot\b|bot/|spider|crawl|python|curl|wget|okhttp|scrapy|phantom|selenium|puppeteer|java/|go-http"
)


@lru_cache(maxsize=4096)
def is_bot(user_agent: str) -> float:
    """1 for a User-Agent of a script or an automated browser, else 0."""
    return float(_BOT.search(user_agent.lower()) is not None)


def rank_texts(columns: ColumnSource, name: str, is_abuse: Numbers, at_least: int) -> dict[str, float]:
    """Order of a column's texts by their abuse rate, smoothed towards the mean; texts with fewer rows are left out."""
    text = columns.text(name)
    known = text.codes >= 0
    rows = np.bincount(text.codes[known], minlength=len(text.values))
    abuse = np.bincount(text.codes[known], weights=is_abuse[known], minlength=len(text.values))
    mean = float(is_abuse.mean())
    rate = (abuse + at_least * mean) / (rows + at_least)
    order: Sequence[int] = sorted(np.flatnonzero(rows >= at_least), key=lambda code: (rate[code], text.values[code]))
    return {text.values[code]: float(place) for place, code in enumerate(order)}
