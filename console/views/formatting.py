"""Formatting of values for people: times, amounts, and names of the contract."""

import datetime as dt
from functools import cache
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from markupsafe import Markup

from contract.fields import short_names
from enrichment.minor_units import format_amount as format_money
from generated.vouch.v1.agent_service_pb2 import OrderValue
from generated.vouch.v1.case_service_pb2 import Case

NOTHING = "\u2013"
"""The text for an absent value."""


def enum_label(enum: EnumDescriptor | Any, number: int) -> str:
    """Return the label of an enum's value: CASE_STATUS_OPEN is `open`; the unspecified one is empty."""
    return _names(enum).get(number, "")


@cache
def _names(enum: EnumDescriptor | Any) -> dict[int, str]:
    return {value: name.replace("_", " ") for name, value in short_names(enum).items()}


def format_time(stamp: Timestamp | None) -> Markup | str:
    """Format a time in UTC. The page's script converts it to the viewer's time zone."""
    return NOTHING if stamp is None or not stamp.seconds else format_seconds(stamp.seconds)


def format_seconds(seconds: float) -> Markup:
    """Format a time, in seconds since 1970, in UTC. The page's script converts it to the viewer's time zone."""
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M}")


def format_hour(seconds: float, with_day: bool) -> str:
    """Format the start of a bar in UTC. The page's script converts it to the viewer's time zone."""
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):{'%a %H:%M' if with_day else '%H:%M'}}"


def format_amount(worth: Any, value: OrderValue | None = None) -> str:
    """Format the amount of an order, or of a case's order, with its currency, and its `value` in the base currency."""
    if not worth.HasField("order_amount"):
        return "unknown"
    amount = format_money(worth.order_amount, worth.currency)
    if value is None or not value.currency:
        return amount
    if not value.HasField("amount"):
        return f"{amount} (value in {value.currency} unknown)"
    about = "about " if value.approximate else ""
    return f"{amount} ({about}{format_money(value.amount, value.currency)})"


def format_loss(case: Case) -> str:
    """Format the expected loss of a case, which is in the base currency."""
    return format_money(case.expected_loss, case.order_value.currency or case.currency)


def format_score(value: float | None) -> str:
    """Format a score with three digits."""
    return NOTHING if value is None else f"{value:.3f}"


def format_duration(seconds: float) -> str:
    """Format a duration in its two largest units."""
    seconds = int(abs(seconds))
    for unit, size, small, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds} s"
