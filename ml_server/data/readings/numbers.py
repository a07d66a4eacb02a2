"""Numbers of a column of texts: one decimal sign for all values, or a question.

Texts are read by their shape, in which every digit is a 9. There are few shapes even in a large column, so each is looked
at once, and values are converted in columns.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.tables import TableError

Decimal = Literal[".", ","]
Numbers = NDArray[np.float64]
MAX_LENGTH: Final = 64
_SCIENTIFIC: Final = re.compile(r"[+-]?(9+[.,]?9*|[.,]9+)[eE][+-]?9{1,3}")
_NUMBER: Final = re.compile(
    r"(?P<before>[^0-9.,]*)(?P<number>[.,]?[0-9](?:[0-9., '\u2019]*[0-9])?)(?:[.,][-\u2013\u2014]?)?(?P<after>[^0-9.,]*)"
)
_ZERO: Final = "\ue000"
"""Stands for such a 0 while other digits are replaced."""
_SIGN: Final = re.compile(r"[-+\u2212()]")
_GROUPED: Final = {
    sign: re.compile(rf"9{{1,3}}(?:{re.escape(sign)}999)+|9{{1,2}}(?:{re.escape(sign)}99)+{re.escape(sign)}999")
    for sign in (".", ",", " ", "'")
}
"""Groups of thousands, and those of India: 12,34,567."""
_UNIT: Final = re.compile(r"[^\W\d_]{1,3}|[^\w\s.,()+-]{1,3}|[^\W\d_]{1,3}[.]?[^\w\s.,()+-]|[^\w\s.,()+-][^\W\d_]{1,3}")


def shapes_of(texts: pa.Array) -> pa.Array:
    """Return texts with all digits replaced by 9; a 0 stays where it is the whole part of a fraction."""
    marked = pc.replace_substring_regex(texts, r"(^|[^0-9.,])0([.,])", f"\\1{_ZERO}\\2")
    return pc.replace_substring(pc.replace_substring_regex(marked, "[0-9]", "9"), _ZERO, "0")


def _plain(texts: pa.Array) -> pa.Array:
    """Return texts with simple spaces, and without the points of abbreviations, as in Rs. 500."""
    spaced = pc.replace_substring_regex(texts, r"[\s\x{00a0}\x{202f}\x{2009}]+", " ")
    return pc.replace_substring_regex(spaced, r"([\p{L}\p{M}/])\.", r"\1")


@dataclass(frozen=True)
class Shape:
    """What a shape can be: its sign, and its number without currency, if it is a number at all."""

    negative: bool = False
    number: str = ""
    scientific: bool = False
    unit: str = ""

    @property
    def evidence(self) -> str:
        """Return the decimal sign that it proves, `?` if it may be a fraction or thousands, empty if it does not matter."""
        possible = [decimal for decimal in (".", ",") if self.fits(decimal)]
        if not any(sign in self.number for sign in ".,") or not possible:
            return ""
        return possible[0] if len(possible) == 1 else "?"

    def fits(self, decimal: str) -> bool:
        """Return whether it is a number with this decimal sign."""
        if not self.number:
            return False
        if self.scientific:
            return ("," if decimal == "." else ".") not in self.number
        whole, point, rest = self.number.partition(decimal)
        if point and (not rest.isdigit() and rest):
            return False
        if not whole:
            return bool(rest)
        if whole.isdigit():
            return True
        thousands = "," if decimal == "." else "."
        used = {sign for sign in whole if not sign.isdigit()}
        return used <= {thousands, " ", "'"} and len(used) == 1 and bool(_GROUPED[used.pop()].fullmatch(whole))


NO_NUMBER: Final = Shape()


@lru_cache(maxsize=4096)
def shape_of(text: str) -> Shape:
    """Return what a shape can be, with a currency or a unit of up to three letters before or after the number."""
    text = text.strip()
    if len(text) > MAX_LENGTH:
        return NO_NUMBER
    if _SCIENTIFIC.fullmatch(text):
        return Shape(text.startswith("-"), text, scientific=True)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return NO_NUMBER
    number = match["number"].replace("\u2019", "'")
    signs = Counter(_SIGN.findall(match["before"]) + _SIGN.findall(match["after"]))
    if signs.total() > 1 and signs != Counter("()"):
        return NO_NUMBER
    units = [_SIGN.sub(" ", part).strip() for part in (match["before"], match["after"])]
    if not all(unit == "" or is_unit(unit) for unit in units):
        return NO_NUMBER
    return Shape(bool({"-", "\u2212", "("} & set(signs)), number, unit=" ".join(filter(None, units)))


@lru_cache(maxsize=4096)
def is_unit(text: str) -> bool:
    """Return whether a text is a sign, code or name of a currency, or up to three letters or signs."""
    plain = " ".join(text.split()).casefold()
    return plain in currency_words() or bool(_UNIT.fullmatch(plain))


@cache
def currency_words() -> frozenset[str]:
    """Return signs, codes and names of all currencies; see testing/cldr.py."""
    lines = Path(__file__).with_name("currencies.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(_plain(pa.array(lines)).to_pylist())


@dataclass
class NumberSurvey:
    """Collects what the texts of a column prove about their decimal sign."""

    counts: "Counter[str]" = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    units: "Counter[str]" = field(default_factory=Counter)

    def add(self, texts: pa.Array) -> None:
        """Add the next known values."""
        if _cast(texts) is not None:  # the usual numbers
            point = pc.match_substring(texts, ".")
            open_ = pc.match_substring_regex(texts, r"^\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*$")
            for evidence, found in ((".", pc.and_not(point, open_)), ("?", open_)):
                self.counts[evidence] += int(pc.sum(found).as_py() or 0)
                if evidence not in self.examples and (place := pc.index(found, True).as_py()) >= 0:
                    self.examples[evidence] = texts[place].as_py()
            return
        encoded: Any = shapes_of(_plain(texts)).dictionary_encode()
        codes = np.asarray(encoded.indices)
        weights = np.bincount(codes, minlength=len(encoded.dictionary))
        for code, text in enumerate(encoded.dictionary.to_pylist()):
            shape = shape_of(text)
            evidence = shape.evidence
            self.counts[evidence] += int(weights[code])
            if shape.unit:
                self.units[shape.unit] += int(weights[code])
            if evidence and evidence not in self.examples:
                self.examples[evidence] = texts[int(np.argmax(codes == code))].as_py()

    def decide(self, name: str, column: str) -> Decimal:
        """Return the decimal sign of the column. Raises TableError that asks for it where the values do not say."""
        point, comma, open_ = self.counts["."], self.counts[","], self.counts["?"]
        if point and comma:
            raise TableError(
                f"column {column}: {self.examples['.']!r} ({point:,} like it) has a decimal point and {self.examples[',']!r} "
                f"({comma:,}) a decimal comma, so the column has no one reading; export it again in one format, or set "
                f'{name}: {{from: {column}, decimal: "."}} or decimal: "," to read the others as unknown'
            )
        if point or comma:
            return "." if point else ","
        if open_:
            example = self.examples["?"]
            texts = pa.array([example])
            values = {decimal: read_numbers(texts, decimal)[0] for decimal in (".", ",")}
            ask = " or ".join(
                f'{value:g} (decimal: "{decimal}")'
                for decimal, value in sorted(values.items(), key=lambda one: -one[1])
            )
            raise TableError(
                f"column {column}: {example!r} may be {ask}: every separator stands before three digits, and nothing has "
                f"cents; set {name}: {{from: {column}, decimal: …}}, or dialect: {{decimal: …}} for all columns"
            )
        return "."


def read_numbers(texts: pa.Array, decimal: str) -> Numbers:
    """Return texts as numbers with a decimal sign, NaN for what is no finite number."""
    if decimal == "." and (numbers := _cast(texts)) is not None:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    plain = _plain(texts)
    encoded: Any = shapes_of(plain).dictionary_encode()
    shapes = [shape_of(text) for text in encoded.dictionary.to_pylist()]
    if not shapes:
        return np.full(len(texts), np.nan)
    codes = np.asarray(pc.fill_null(encoded.indices, 0))
    fits = np.array([shape.fits(decimal) for shape in shapes])[codes] & np.asarray(pc.is_valid(texts))
    negative = np.array([shape.negative for shape in shapes])[codes]
    scientific = np.array([shape.scientific for shape in shapes])[codes]
    digits = pc.replace_substring_regex(plain, f"[^0-9{decimal}]", "")
    digits = pc.replace_substring_regex(digits, "[.,]$", "")
    if scientific.any():
        digits = pc.if_else(pa.array(scientific), pc.replace_substring_regex(plain, r"^\s*[+-]|\s+$", ""), digits)
    digits = pc.if_else(pa.array(fits), pc.replace_substring(digits, ",", "."), "0")
    values = np.asarray(pc.cast(digits, pa.float64()))
    values = np.where(fits, np.where(negative, -values, values), np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _cast(texts: pa.Array) -> Numbers | None:
    """Return texts that are all numbers as programs write them, or None."""
    try:
        return pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        return None


def describe_units(units: Mapping[str, int]) -> str:
    """Format the units of a column with their counts."""
    return ", ".join(f"{unit} ({count:,})" for unit, count in sorted(units.items(), key=lambda one: -one[1])[:6])
