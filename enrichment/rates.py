"""Exchange rates by day: the last quote on or before it, or an approximation that is marked as one. Pure.

Quotes are units of a currency per euro, as the European Central Bank publishes them on working days. A quote counts as
that of the day for a week, which covers weekends and holidays. After that it is an approximation, and after 400 days it
is not used. A currency without a quote has its average of the year, in units per dollar, if there is one. A year without
an average gets that of an earlier year, but only if the currency is steady: the last three averages lie within 5 % of
each other, and the last of them is at most five years old.
"""

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

FRESH_DAYS: Final = 7
"""Days for which a quote counts as that of the day."""
MAX_AGE_DAYS: Final = 400
"""Days after which a quote is not used."""
MAX_YEARS: Final = 5
"""Years after which the average of a steady currency is not used."""
STEADY: Final = 1.05
"""Highest ratio between the last averages of a steady currency."""
_STEADY_YEARS: Final = 3
_EURO, _DOLLAR = "EUR", "USD"
_EPOCH = dt.date(1970, 1, 1)
_DAYS = (dt.date.max - _EPOCH).days

Quotes = Mapping[str, Mapping[int, float]]
"""Units per euro by currency and day, in days since 1970."""
Averages = Mapping[str, Mapping[int, float]]
"""Units per dollar by currency and year."""


@dataclass(frozen=True)
class Rate:
    """What a unit of one currency is worth in another, and the date of the older of the two quotes behind it."""

    value: float
    date: dt.date
    approximate: bool = False


@dataclass(frozen=True)
class _Quote:
    per_euro: float
    day: int
    approximate: bool = False


def day_of(seconds: int) -> int:
    """Return the day of a time in seconds since 1970, in UTC, as days since 1970."""
    return seconds // 86_400


class ExchangeRates:
    """All known rates. An object does not change; a file that changed is read into a new one."""

    def __init__(self, quotes: Quotes, averages: Averages) -> None:
        self._series = {
            currency: (days := sorted(by_day), [by_day[day] for day in days]) for currency, by_day in quotes.items()
        }
        self._averages = averages
        self.find = lru_cache(4096)(self._find)
        """Return the rate from a currency to another on a day, in days since 1970; None if there is none."""

    def _find(self, currency: str, base: str, day: int) -> Rate | None:
        if not 0 <= day < _DAYS:
            return None
        own, other = self._quote(currency, day), self._quote(base, day)
        if own is None or other is None:
            return None
        date = _EPOCH + dt.timedelta(min(own.day, other.day))
        return Rate(other.per_euro / own.per_euro, date, own.approximate or other.approximate)

    def _quote(self, currency: str, day: int) -> _Quote | None:
        if currency == _EURO:
            return _Quote(1.0, day)
        days, values = self._series.get(currency, ((), ()))
        place = bisect_right(days, day) - 1
        if place >= 0 and day - days[place] <= MAX_AGE_DAYS:
            return _Quote(values[place], days[place], approximate=day - days[place] > FRESH_DAYS)
        return self._average(currency, day) if currency != _DOLLAR else None

    def _average(self, currency: str, day: int) -> _Quote | None:
        """Return a quote from the average of the day's year, or of an earlier one; its date is 1 July of that year."""
        dollar, by_year = self._quote(_DOLLAR, day), self._averages.get(currency, {})
        year = (_EPOCH + dt.timedelta(day)).year
        known = [one for one in sorted(by_year) if one <= year]
        if dollar is None or not known:
            return None
        last = known[-1]
        if last != year:
            recent = [by_year[one] for one in known[-_STEADY_YEARS:]]
            if year - last > MAX_YEARS or len(recent) < _STEADY_YEARS or max(recent) > STEADY * min(recent):
                return None
        middle = min((dt.date(last, 7, 1) - _EPOCH).days, dollar.day)
        return _Quote(by_year[last] * dollar.per_euro, middle, approximate=True)
