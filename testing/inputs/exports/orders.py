"""The orders of an invented shop, and how they become CSV."""

import csv
import datetime as dt
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

_FIRST: Final = ("Ada", "Bao", "Chiara", "Dmitri", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Lars")
_LAST: Final = ("Okafor", "Lindqvist", "Moreau", "Tanaka", "Weber", "Novak", "Silva", "Byrne", "Costa", "Kaur")
_COUNTRIES: Final = ("DE", "FR", "US", "ES", "NL")
BERLIN: Final = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Order:
    """One order of the invented shop."""

    number: int
    at: dt.datetime
    customer: int
    amount: float
    country: str
    shipped_to: str
    email: str
    name: str
    card: str
    cvv_ok: bool
    method: str
    address: str
    is_abuse: bool


def make_orders(count: int = 420, seed: int = 7) -> list[Order]:
    """Return orders of about 60 days in the order of time, a tenth of them abuse, which a model can learn."""
    rng = np.random.default_rng(seed)
    minutes = np.sort(rng.choice(86_400, count, replace=False))
    result = []
    for number, minute in enumerate(minutes):
        is_abuse = bool(rng.random() < 0.1)
        customer = int(rng.integers(5000, 9000)) if is_abuse and rng.random() < 0.8 else int(rng.integers(0, 140))
        country = _COUNTRIES[customer % 5]
        name = f"{_FIRST[customer % 12]} {_LAST[customer % 10]}"
        domain = (
            "mailinator.com"
            if is_abuse and rng.random() < 0.6
            else ("gmail.com", "example.org", "web.de")[customer % 3]
        )
        result.append(
            Order(
                number=1000 + number, at=dt.datetime(2026, 2, 20, tzinfo=dt.UTC) + dt.timedelta(minutes=int(minute), seconds=number % 60),
                customer=customer, amount=round(float(rng.lognormal(4.6 if is_abuse else 3.6, 0.6)), 2) + 0.01,
                country=country, shipped_to=_COUNTRIES[int(rng.integers(5))] if is_abuse else country,
                email=f"p{customer}@{domain}", name=name, card=f"c{zlib.crc32(str(customer).encode()):08x}",
                cvv_ok=bool(rng.random() < (0.5 if is_abuse else 0.97)), method=("visa", "mastercard", "paypal")[customer % 3],
                address=f"203.0.113.{customer % 250}", is_abuse=is_abuse,
            )
        )  # fmt: skip
    return result


def as_csv(header: Iterable[str], rows: Iterable[Iterable[Any]], **dialect: Any) -> str:
    """Return rows as CSV with lines that end as in Windows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", **dialect)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
