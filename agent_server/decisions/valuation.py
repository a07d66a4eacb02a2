"""The value of an order in the base currency, as decisions state it. Pure."""

from collections.abc import Mapping

from enrichment.money import Money, convert, convert_back, is_in_base
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.replay import Value

_AVERAGE = "avg_order_value"


def value_order(order: Transaction, money: Money) -> pb.OrderValue | None:
    """Return the value of an order in another currency than the base currency; None for all others."""
    if is_in_base(order, money.base):
        return None
    value = pb.OrderValue(currency=money.base)
    if order.HasField("exchange_rate"):
        value.exchange_rate = order.exchange_rate
    elif found := money.find_rate(order):
        value.exchange_rate, value.rate_date = found.value, found.date.isoformat()
        value.approximate = found.approximate
    if value.HasField("exchange_rate") and order.HasField("order_amount"):
        value.amount = convert(order.order_amount, value.exchange_rate)
    return value


def amount_of(order: Transaction, value: pb.OrderValue | None) -> float | None:
    """Return the amount of an order in the base currency, given its `value_order`; None if it is unknown."""
    if value is not None:
        return value.amount if value.HasField("amount") else None
    return order.order_amount if order.HasField("order_amount") else None


def recorded_amount(order: Transaction, answer: pb.ReviewResponse) -> float | None:
    """Return the amount of a decided order in the base currency; None if it is unknown."""
    return amount_of(order, answer.order_value if answer.HasField("order_value") else None)


def completed_values(value: pb.OrderValue | None, remembered: Mapping[str, Value]) -> dict[str, Value]:
    """Return what history knows of an order, with amounts in the order's currency; without a rate they are unknown."""
    values = dict(remembered)
    if value is None or _AVERAGE not in values:
        return values
    average = float(values.pop(_AVERAGE))
    return (
        values | {_AVERAGE: convert_back(average, value.exchange_rate)} if value.HasField("exchange_rate") else values
    )
