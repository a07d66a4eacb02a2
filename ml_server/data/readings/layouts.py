"""Layouts of times in texts, and their parts as numbers. All values of a column have the same layout."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WEEKDAY = r"(?:[^0-9 ]+ +)?"
_SECONDS = r"(?:[:.](?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
_CLOCK = rf"(?P<H>\d{{1,2}})[:.h](?P<M>\d{{2}}){_SECONDS}(?: ?(?P<p>[aApP])\.?[mM]\.?)?(?: ?(?:Uhr|h))?"
_COMPACT_CLOCK = r"(?:[Tt ]?(?P<H>\d{2}):?(?P<M>\d{2})(?::?(?P<S>\d{2}))?)?"
_OFFSET = r"(?:(?:GMT|UTC|UT) ?)?[+\-\x{2212}]\d{1,2}(?::?\d{2})?"
_ZONE = rf" ?(?P<z>[Zz]|{_OFFSET}|[A-Z]{{2,5}}|[A-Z][A-Za-z]+/[A-Za-z_/+\-0-9]+)?(?: ?\([^)]*\))?"
_TIME = rf"(?:(?:[Tt]|,? +(?:at +)?){_CLOCK})?{_ZONE}"
_MONTH = r"(?P<mon>\p{L}{3,12})\.?"
_YEAR, _SHORT_YEAR = r"(?P<y>\d{4})", r"(?P<y>\d{4}|\d{2})"
_DAY, _NUMBERED_DAY = r"(?P<d>\d{1,2})", r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_BETWEEN = r"[ \-/](?:de )?"
"""Between a day, the name of a month and a year; Spanish and Portuguese write 1 de marzo de 2026."""


@dataclass(frozen=True)
class Layout:
    """A way to write a time. `kind` is year_first, numeric (the order of day, month and year is open) or named."""

    name: str
    kind: str
    pattern: str
    separator: str = ""

    def extract(self, texts: pa.Array) -> "Parts":
        """Return the parts of the texts that have this layout."""
        return Parts(pc.extract_regex(texts, f"^{self.pattern}$"))

    def extract_days(self, texts: pa.Array) -> "Parts":
        """Return the same without the time of day but for its hour, which takes half of the time."""
        return Parts(pc.extract_regex(texts, re.sub(r"\?P<[MSfp]>", "?:", f"^{self.pattern}$")))


def _year_first(sign: str) -> Layout:
    between = re.escape(sign)
    pattern = rf"{_YEAR}{between}(?P<m>\d{{1,2}}){between}{_DAY}{_TIME}"
    return Layout(f"YYYY{sign}MM{sign}DD", "year_first", pattern, sign)


def _numeric(sign: str) -> Layout:
    between = re.escape(sign) + (" ?" if sign == "." else "")
    pattern = rf"{_WEEKDAY}(?P<a>\d{{1,2}}){between}(?P<b>\d{{1,2}}){between}(?P<c>\d{{4}}|\d{{2}}){_TIME}"
    return Layout(f"A{sign}B{sign}C", "numeric", pattern, sign)


def _named(name: str, pattern: str) -> Layout:
    return Layout(name, "named", pattern)


LAYOUTS: Final = (
    *map(_year_first, "-/."),
    Layout("YYYYMMDD", "year_first", rf"(?P<y>(?:19|20)\d{{2}})(?P<m>\d{{2}})(?P<d>\d{{2}}){_COMPACT_CLOCK}{_ZONE}"),
    *map(_numeric, "/.- "),
    _named("day month year", rf"{_WEEKDAY}{_DAY}(?:st|nd|rd|th|\.)?{_BETWEEN}{_MONTH},?{_BETWEEN}{_SHORT_YEAR}{_TIME}"),
    _named("month day year", rf"{_WEEKDAY}{_MONTH}[ \-]{_NUMBERED_DAY},?[ \-]{_YEAR}{_TIME}"),
    _named("year month day", rf"{_YEAR}[ \-/]{_MONTH}[ \-/]{_DAY}{_TIME}"),
    _named("month day time year", rf"{_WEEKDAY}{_MONTH} +{_DAY} +{_CLOCK}{_ZONE} +{_YEAR}"),
    _named("time month day year", rf"{_CLOCK} +{_MONTH} +{_DAY},? +{_YEAR}{_ZONE}"),
)
TIME_OF_DAY: Final = rf"^{_CLOCK}$"
NUMBER: Final = r"^-?\d+(?:[.,]\d+)?$"


class Parts:
    """The parts of texts in a layout, as numbers; `matched` are the texts that have it."""

    def __init__(self, extracted: pa.StructArray) -> None:
        self._extracted = extracted
        self.matched: Flags = np.asarray(pc.is_valid(extracted))

    def __contains__(self, name: str) -> bool:
        return bool(self._extracted.type.get_field_index(name) >= 0)

    def texts(self, name: str) -> pa.Array:
        """Return a part as text; empty where a text does not have it, and where it does not match."""
        return pc.fill_null(pc.struct_field(self._extracted, name), "")

    def numbers(self, name: str) -> Ints:
        """Return a part as numbers; 0 where a text does not have it."""
        if name not in self:
            return np.zeros(len(self._extracted), np.int64)
        texts = self.texts(name)
        return np.asarray(pc.cast(pc.if_else(pc.equal(texts, ""), "0", texts), pa.int64()))

    def has(self, name: str) -> Flags:
        """Return which texts have a part."""
        if name not in self:
            return np.zeros(len(self._extracted), np.bool_)
        return np.asarray(pc.not_equal(self.texts(name), ""))

    def dates(self, order: str) -> tuple[NDArray[np.datetime64], Flags]:
        """Return the days by an order (`dmy`, `mdy`, `ymd`) of numeric parts, and which are valid days."""
        if "a" in self:
            days, valid = days_of(self.numbers("a"), self.numbers("b"), self.numbers("c"), order)
        else:
            month = _month_numbers(self.texts("mon")) if "mon" in self else self.numbers("m")
            days, valid = days_of(self.numbers("y"), month, self.numbers("d"), "ymd")
        return days, valid & self.matched

    def clocks(self) -> tuple[Ints, Flags]:
        """Return the time of day in microseconds, and which are valid."""
        hour, minute, second = (self.numbers(name) for name in "HMS")
        valid = (hour <= 23) & (minute <= 59) & (second <= 59)
        if "p" in self:
            half = np.asarray(pc.utf8_lower(self.texts("p")).to_numpy(zero_copy_only=False))
            twelve = half != ""
            valid &= ~twelve | ((hour >= 1) & (hour <= 12))
            hour = np.where(twelve, hour % 12 + 12 * (half == "p"), hour)
        fraction = np.zeros(len(hour), np.int64)
        if "f" in self:
            padded = pc.utf8_slice_codeunits(pc.utf8_rpad(self.texts("f"), 6, "0"), 0, 6)
            fraction = np.asarray(pc.cast(padded, pa.int64()))
        return ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction, valid


def days_of(first: Ints, second: Ints, third: Ints, order: str) -> tuple[NDArray[np.datetime64], Flags]:
    """Return the days that three numbers mean in an order, and which are valid. Years below 70 are of this century."""
    numbers = dict(zip(order, (first, second, third), strict=True))
    year, month, day = numbers["y"], numbers["m"], numbers["d"]
    year = np.where(year < 70, year + 2000, np.where(year < 100, year + 1900, year))
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1900) & (year <= 2200)
    months = (np.where(valid, year, 1970) - 1970) * 12 + np.where(valid, month, 1) - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") + np.where(valid, day - 1, 0)
    return days, valid & (days.astype("datetime64[M]").astype(np.int64) == months)


def _month_numbers(texts: pa.Array) -> Ints:
    """Return the numbers of months by name, 0 for other words."""
    encoded: Any = texts.dictionary_encode()
    words = month_words()
    numbers: Ints = np.array(
        [words.get(word.casefold(), 0) for word in encoded.dictionary.to_pylist()] or [0], np.int64
    )
    return np.take(numbers, np.asarray(encoded.indices))


@cache
def month_words() -> dict[str, int]:
    """Return the number of the month by its name in several languages; see testing/cldr.py."""
    lines = Path(__file__).with_name("months.txt").read_text(encoding="utf-8").splitlines()
    return {word: int(number) for number, word in (line.split() for line in lines)}
