"""Exchange rates: which quote counts on which day, and files that are read, refused, and read again."""

import datetime as dt
import io
import os
import zipfile
from pathlib import Path

import pytest
from currency_converter import CurrencyConverter

from enrichment.minor_units import format_amount
from enrichment.rate_files import (
    CurrentRates,
    RatesError,
    configured_money,
    packaged_averages,
    packaged_quotes,
    packaged_rates,
    parse_quotes,
)
from enrichment.rates import FRESH_DAYS, MAX_AGE_DAYS, ExchangeRates, Rate
from runtime.settings import SettingsError

EPOCH = dt.date(1970, 1, 1)


def day(text: str) -> int:
    """Return a date as days since 1970."""
    return (dt.date.fromisoformat(text) - EPOCH).days


FRIDAY = day("2025-06-06")
RATES = ExchangeRates(
    {"USD": {FRIDAY: 1.25, FRIDAY + 500: 1.0}, "JPY": {FRIDAY: 160.0}},
    {"KWD": {2022: 0.3, 2023: 0.3, 2024: 0.3}, "ARS": {2022: 100.0, 2023: 300.0, 2024: 900.0}, "TND": {2024: 3.0}},
)


def test_a_weekend_has_the_last_rate_before_it() -> None:
    """Saturday and Sunday get Friday's rate, with its date; the day before the first quote has none."""
    friday = Rate(1.25 / 160, dt.date(2025, 6, 6))
    assert [RATES.find("JPY", "USD", FRIDAY + later) for later in range(3)] == [friday] * 3
    assert RATES.find("JPY", "USD", FRIDAY - 1) is None


def test_an_old_rate_is_marked_and_then_unknown() -> None:
    """A quote counts as the day's for a week, as an approximation for 400 days, and not after that."""
    found = {age: RATES.find("EUR", "JPY", FRIDAY + age) for age in (FRESH_DAYS, FRESH_DAYS + 1, MAX_AGE_DAYS)}
    assert [rate.approximate for rate in found.values() if rate] == [False, True, True]
    assert {rate.date for rate in found.values() if rate} == {dt.date(2025, 6, 6)}
    assert RATES.find("EUR", "JPY", FRIDAY + MAX_AGE_DAYS + 1) is None


def test_a_currency_without_quotes_has_the_average_of_its_year() -> None:
    """An average counts in its year, and later only if the currency is steady; it is always an approximation."""
    this_year, next_year = day("2024-12-31"), FRIDAY
    rates = ExchangeRates({"USD": {this_year: 1.0, next_year: 1.25}}, RATES._averages)
    assert rates.find("ARS", "USD", this_year) == Rate(1 / 900, dt.date(2024, 7, 1), approximate=True)
    assert rates.find("KWD", "USD", next_year) == Rate(1 / 0.3, dt.date(2024, 7, 1), approximate=True)
    assert rates.find("KWD", "EUR", next_year) == Rate(1 / (0.3 * 1.25), dt.date(2024, 7, 1), approximate=True)
    assert rates.find("ARS", "USD", next_year) is None
    assert rates.find("TND", "USD", next_year) is None
    assert rates.find("KWD", "USD", day("2030-01-01")) is None


@pytest.mark.parametrize("currency", ["XYZ", "usd", "", "EURO"])
def test_a_currency_that_does_not_exist_has_no_rate(currency: str) -> None:
    """Nothing is 1:1 because it is unknown; neither on a day outside all calendars."""
    assert RATES.find(currency, "USD", FRIDAY) is None
    assert packaged_rates().find(currency, "USD", FRIDAY) is None
    assert packaged_rates().find("JPY", "USD", -(10**12)) is packaged_rates().find("JPY", "USD", 10**12) is None


def test_the_packaged_rates_are_those_of_the_bank() -> None:
    """The reference rates of a day are as published, and no average repeats a currency that the bank quotes now."""
    found, bank = packaged_quotes(), CurrencyConverter()
    for date in (dt.date(1999, 1, 4), dt.date(2024, 6, 3), dt.date(2026, 10, 1)):
        for currency in ("USD", "JPY", "GBP"):
            assert found[currency][(date - EPOCH).days] == bank.convert(1, "EUR", currency, date)
    quoted = {code for code, by_day in found.items() if max(by_day) > day("2025-01-01")}
    assert not quoted & packaged_averages().keys()
    assert packaged_averages()["KWD"][2023] == 0.307185


GOOD = "Date,USD,JPY,\n2025-06-06,1.25,160,\n2025-06-05,N/A,,\n"


def test_a_file_in_the_format_of_the_bank_is_read(tmp_path: Path) -> None:
    """Plain or zipped, with N/A, empty cells and the bank's comma at the end of each line."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("rates.csv", GOOD)
    for content in (GOOD.encode(), b"\xef\xbb\xbf" + GOOD.encode(), packed.getvalue()):
        assert parse_quotes(content, "rates") == {"USD": {FRIDAY: 1.25}, "JPY": {FRIDAY: 160.0}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "rates: line 1: expected Date and currencies, like Date,USD,JPY"),
        (b"day;USD\n", "rates: line 1: expected Date and currencies, like Date,USD,JPY"),
        (b"Date,usd\n", "rates: line 1: 'usd' is not a currency; use three capital letters, like JPY"),
        (b"Date,USD,USD\n", "rates: line 1: a currency has two columns"),
        (b"Date,USD\n06.06.2025,1\n", "rates: line 2: '06.06.2025' is not a date; write it like 2026-10-30"),
        (b"Date,USD\n2025-06-06,1\n2025-06-06,2\n", "rates: line 3: the date 2025-06-06 is there twice"),
        (b"Date,USD\n2025-06-06,0\n", "rates: line 2: USD is '0'; a rate is a number above 0, or N/A"),
        (b"Date,USD\n2025-06-06,-1\n", "rates: line 2: USD is '-1'; a rate is a number above 0, or N/A"),
        (b"Date,USD\n2025-06-06,inf\n", "rates: line 2: USD is 'inf'; a rate is a number above 0, or N/A"),
        (b"Date,USD\n2025-06-06,nan\n", "rates: line 2: USD is 'nan'; a rate is a number above 0, or N/A"),
        (b"Date,USD\n2025-06-06,x\n", "rates: line 2: USD is 'x'; a rate is a number above 0, or N/A"),
        (b"\xff\xfe\x00", "rates: the file is not UTF-8"),
        (b"PK\x03\x04 damaged", "rates: the ZIP cannot be read; download it again"),
    ],
)
def test_a_damaged_file_is_a_clear_error(content: bytes, problem: str) -> None:
    """Each error names file, line and remedy."""
    with pytest.raises(RatesError) as failure:
        parse_quotes(content, "rates")
    assert str(failure.value) == problem


def test_a_file_of_ones_own_comes_first_and_is_read_again(tmp_path: Path) -> None:
    """Its quotes replace those of the package by day; a change counts at once; a damaged change leaves the old rates."""
    path = tmp_path / "rates.csv"
    path.write_text("Date,KWD\n2025-06-06,0.35\n")
    current = CurrentRates(path)
    assert not current.refresh()
    dollar = packaged_quotes()["USD"][FRIDAY]
    assert current().find("KWD", "USD", FRIDAY) == Rate(dollar / 0.35, dt.date(2025, 6, 6))
    assert current().find("JPY", "USD", FRIDAY) == packaged_rates().find("JPY", "USD", FRIDAY)
    path.write_text("Date,KWD\n2025-06-06,0.3500001\n")
    assert current.refresh()
    assert current().find("KWD", "USD", FRIDAY) == Rate(dollar / 0.3500001, dt.date(2025, 6, 6))
    path.write_text("Date,KWD\n2025-06-06,none\n")
    with pytest.raises(RatesError, match="line 2: KWD is 'none'"):
        current.refresh()
    assert not current.refresh()  # it is read again only after it changed
    os.unlink(path)
    with pytest.raises(RatesError, match="exchange rates cannot be read: No such file"):
        current.refresh()
    assert current().find("KWD", "USD", FRIDAY) == Rate(dollar / 0.3500001, dt.date(2025, 6, 6))


def test_wrong_settings_are_clear_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A currency in small letters and a missing file are named."""
    monkeypatch.setenv("VOUCH_EXCHANGE_RATES", str(tmp_path / "none.csv"))
    with pytest.raises(SettingsError, match=r"none\.csv: exchange rates cannot be read"):
        configured_money()
    monkeypatch.setenv("VOUCH_BASE_CURRENCY", "eur")
    with pytest.raises(SettingsError, match="VOUCH_BASE_CURRENCY='eur'"):
        configured_money()


def test_amounts_have_the_decimals_of_their_currency() -> None:
    """None for yen and dong, three for dinars, two for others and without a currency."""
    written = [format_amount(1077.5, code) for code in ("VND", "JPY", "KWD", "USD", "")]
    assert written == ["1,078 VND", "1,078 JPY", "1,077.500 KWD", "1,077.50 USD", "1,077.50"]
