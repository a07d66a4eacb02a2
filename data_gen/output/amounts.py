"""Amounts of orders in the currency of their country, at the rate of their day.

Patterns draw amounts in cents of a dollar, and the exact posterior depends on those. A file has the amount that the
customer saw, in whole minor units of the currency. Its value in dollars is then the drawn one, but for that rounding.
"""

from typing import Any, Final

import numpy as np

from data_gen.language import vocabulary as words
from data_gen.language.variables import COUNTRY, Codes
from enrichment.minor_units import DECIMALS
from enrichment.money import MAX_AMOUNT, Money
from enrichment.money_tables import Numbers, convert_column, find_rates
from enrichment.rate_files import read_money

_DAY: Final = 86_400
_BY_COUNTRY: Final = tuple(words.CURRENCY.get(country, "EUR") for country in COUNTRY.values)
_CURRENCIES: Final = tuple(dict.fromkeys(_BY_COUNTRY))
_CURRENCY_OF: Final = np.array([_CURRENCIES.index(currency) for currency in _BY_COUNTRY])
_SCALES: Final = np.array([10.0 ** DECIMALS.get(currency, 2) for currency in _CURRENCIES])
_MONEY: Final[Money] = read_money()


def load_rates() -> None:
    """Read the rates. Do this before workers are forked, so that they share them."""
    _MONEY.current()


def rates_at(country: Codes, times: Codes) -> Numbers:
    """Return what a unit of a country's currency was worth in dollars at a time, in seconds since 1970, shape (rows,)."""
    return find_rates(_CURRENCY_OF[country], _CURRENCIES, times // _DAY, _MONEY)


def to_local(cents: Any, country: Codes, rates: Numbers) -> Numbers:
    """Return amounts in a country's currency, rounded to its minor unit; amounts above 0 are at least one of it."""
    scale = _SCALES[_CURRENCY_OF[country]]
    local = np.maximum(np.rint(cents / 100 / rates * scale), 1) / scale
    return np.where(rates == 1, cents / 100, np.where(cents > 0, local, 0.0))


def to_dollars(amounts: Numbers, rates: Numbers) -> Numbers:
    """Return the value of amounts, as everything that reads the file computes it."""
    return convert_column(amounts, rates)


def averages_to_local(averages: Numbers, rates: Numbers) -> Numbers:
    """Return averages that were computed in dollars in the currency of each row, as `vouch history compute` does."""
    return np.where(rates == 1, averages, np.minimum(averages / rates, MAX_AMOUNT))
