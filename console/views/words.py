"""Values as people read them: times, amounts, names of the contract."""

import datetime as dt
from functools import cache
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from markupsafe import Markup

from contract.fields import short_names

NOTHING = "\u2013"
"""What stands where there is nothing to say."""


def name_of(enum: EnumDescriptor | Any, number: int) -> str:
    """A value of an enum in words: CASE_STATUS_OPEN is `open`; the unspecified one is empty."""
    return _names(enum).get(number, "")


@cache
def _names(enum: EnumDescriptor | Any) -> dict[int, str]:
    return {value: name.replace("_", " ") for name, value in short_names(enum).items()}


def moment(stamp: Timestamp | None) -> Markup | str:
    """A time in UTC that the page's script shows in the viewer's zone."""
    return NOTHING if stamp is None or not stamp.seconds else moment_of(stamp.seconds)


def moment_of(seconds: float) -> Markup:
    """A time, in seconds since 1970, in UTC; the page's script shows it in the viewer's zone."""
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M}")


def hour(seconds: float, with_day: bool) -> str:
    """The label of a bar that begins at this time, in UTC; the page's script puts the viewer's zone in its place."""
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):{'%a %H:%M' if with_day else '%H:%M'}}"


def amount(worth: Any) -> str:
    """What an order or the order of a case is worth, with its currency."""
    return f"{worth.order_amount:,.2f} {worth.currency}".strip() if worth.HasField("order_amount") else "unknown"


def share(value: float | None) -> str:
    """A score with three digits."""
    return NOTHING if value is None else f"{value:.3f}"


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    seconds = int(abs(seconds))
    for unit, size, small, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds} s"
