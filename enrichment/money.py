"""The value of an order in the base currency, in which all amounts are compared. Pure.

A value is rounded to a billionth of the base currency, so that the same value sent in several currencies is the same
number. Without a currency, amounts are in the base currency; amounts in the base currency are never changed. An amount
in a currency without a rate has no value: it is unknown, not 1:1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from enrichment.rates import ExchangeRates, Rate, day_of
from generated.vouch.v1.transaction_pb2 import Transaction

BASE_CURRENCY: Final = "USD"
"""The base currency without a setting."""
AMOUNTS: Final = ("order_amount", "avg_order_value")
"""Fields of an order that are amounts in its currency."""
MAX_AMOUNT: Final = 1e9
"""The contract's limit of an amount; a larger value is cut."""
MAX_RATE: Final = 1e9
"""The contract's limit of a rate."""
UNIT: Final = 1e9
"""Values are multiples of 1 / UNIT."""


def convert(amount: float, rate: float) -> float:
    """Return an amount at a rate. `money_tables.convert_column` gives the same, to the bit."""
    if rate == 1.0 or not 0 < amount <= MAX_AMOUNT:  # what the contract rejects stays as it is
        return amount
    return min(max(round(amount * rate * UNIT) / UNIT, 1 / UNIT), MAX_AMOUNT)


def convert_back(value: float, rate: float) -> float:
    """Return the amount in an order's currency whose value in the base currency is given."""
    return value if rate == 1.0 else min(value / rate, MAX_AMOUNT)


def is_in_base(order: Transaction, base: str) -> bool:
    """Return whether the amounts of an order are in the base currency."""
    return order.currency == base or not (order.currency or order.HasField("exchange_rate"))


def rate_of(order: Transaction, base: str) -> float | None:
    """Return the rate of an order that states it or needs none; None for another currency without a rate."""
    if is_in_base(order, base):
        return 1.0
    return order.exchange_rate if order.HasField("exchange_rate") else None


def amount_in_base(order: Transaction, base: str) -> float | None:
    """Return the value of an order whose rate is known; None if it has no amount, or no rate."""
    rate = rate_of(order, base) if order.HasField("order_amount") else None
    return None if rate is None else convert(order.order_amount, rate)


def lacks_rate(order: Transaction, base: str) -> bool:
    """Return whether an order has an amount whose value is unknown."""
    return order.HasField("order_amount") and rate_of(order, base) is None


def order_in_base(order: Transaction, base: str, rate: float | None) -> Transaction:
    """Return a copy of an order with all amounts in the base currency; without a rate they are absent."""
    converted = Transaction()
    converted.CopyFrom(order)
    for name in AMOUNTS:
        if converted.HasField(name):
            amount = getattr(order, name)
            if rate is not None:
                setattr(converted, name, convert(amount, rate))
            elif 0 <= amount <= MAX_AMOUNT:
                converted.ClearField(name)
    converted.ClearField("exchange_rate")
    converted.currency = base
    return converted


@dataclass(frozen=True)
class Money:
    """The base currency, and the rates into it."""

    base: str = BASE_CURRENCY
    current: Callable[[], ExchangeRates] = lambda: ExchangeRates({}, {})
    """Returns the rates in force."""
    refresh: Callable[[], bool] = lambda: False
    """Reads the rates again if their file changed; returns whether it did."""

    def find_rate(self, order: Transaction) -> Rate | None:
        """Return the rate on the order's day from its currency; None if there is none."""
        return self.current().find(order.currency, self.base, day_of(order.timestamp.seconds))

    def to_base(self, order: Transaction) -> Transaction:
        """Return an order with all amounts in the base currency, by its own rate or that of its day.

        An order whose currency or rate the contract rejects is returned unchanged, so that it is rejected.
        """
        if is_in_base(order, self.base) or not _is_valid(order):
            return order
        if order.HasField("exchange_rate"):
            return order_in_base(order, self.base, order.exchange_rate)
        found = self.find_rate(order)
        return order_in_base(order, self.base, found.value if found else None)

    def with_rate(self, order: Transaction) -> Transaction:
        """Return an order with the rate of its day, if it needs and lacks one and there is one."""
        found = self.find_rate(order) if rate_of(order, self.base) is None else None
        if found is None:
            return order
        stated = Transaction()
        stated.CopyFrom(order)
        stated.exchange_rate = found.value
        return stated


def _is_valid(order: Transaction) -> bool:
    currency = order.currency
    is_code = not currency or (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper())
    return is_code and (not order.HasField("exchange_rate") or 0 < order.exchange_rate <= MAX_RATE)
