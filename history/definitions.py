"""Every remembered field, declared once: whose past it counts, how far back, and what.

An attempt is every order that was asked about; an order is an attempt that is not denied (from the moment of the denial on it
counts no more). Seen from an order at time t, the past of a key are the attempts with that key that were asked about earlier
and whose time is not after t; those whose time is at most the window before t lie in the window. Of each key the latest 1,000
attempts are looked at, so that one hot key costs no more than another: counts are exact up to there. Times are whole seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

LATEST: Final = 1000
"""So many attempts of a key are looked at, the order itself among them."""
HOUR, DAY = 3600, 86_400
AMOUNT_UNITS: Final = 10_000
"""Amounts are summed as whole ten-thousandths, so that sums are exact in any order."""
LARGEST_AMOUNT: Final = 9 * 10**15
MOST_DAYS: Final = 36_500
"""So far back a first order is told, as the contract has it: a time may be from any year."""


class Key(Enum):
    """Whose past is counted; the value is the field of an order that names it."""

    USER = "user_id"
    DEVICE = "device_id"
    ADDRESS = "ip_address"


class Kind(Enum):
    """What is made of the attempts in a window."""

    ATTEMPTS = "attempts"
    """How many there were."""
    ORDERS = "orders"
    """How many were not denied."""
    DIFFERENT = "different"
    """How many different values another field had."""
    MEAN_AMOUNT = "mean amount"
    """The mean amount of those not denied; 0 where there is none."""
    DAYS_SINCE_FIRST = "days since first"
    """Whole days since the first that was not denied, of all times, 36,500 at most; 0 where there is none."""
    NEW = "new"
    """Whether another field had its value in none of them."""


@dataclass(frozen=True)
class Definition:
    """A remembered field. Without a window it looks at an account's whole past: known where memory is older than it."""

    name: str
    key: Key
    kind: Kind
    sentence: str
    window: int | None = None
    """In seconds."""
    of: str = ""
    """The other field, for DIFFERENT and NEW."""
    itself: bool = False
    """Whether the order counts too."""


DEFINITIONS: Final = (
    Definition("orders_last_24h", Key.USER, Kind.ORDERS, "Orders of the account in 24 hours, without this one.", DAY),
    Definition("orders_last_7d", Key.USER, Kind.ORDERS, "Orders of the account in 7 days, without this one.", 7 * DAY),
    Definition("total_orders_lifetime", Key.USER, Kind.ORDERS, "Orders that the account ever placed before this one."),
    Definition("avg_order_value", Key.USER, Kind.MEAN_AMOUNT, "Mean value of the account's earlier orders; 0 without any."),
    Definition(
        "days_since_account_first_purchase", Key.USER, Kind.DAYS_SINCE_FIRST,
        "Days since the account's first order; 0 when this is the first.",
    ),
    Definition("new_device", Key.USER, Kind.NEW, "Whether the account was never seen on this device before.", of="device_id"),
    Definition(
        "payment_attempts_24h", Key.USER, Kind.ATTEMPTS, "Attempts of the account in 24 hours, this one included.", DAY,
        itself=True,
    ),
    Definition(
        "cards_used_30d", Key.USER, Kind.DIFFERENT, "Different cards of the account in 30 days, this one included.", 30 * DAY,
        of="card_id", itself=True,
    ),
    Definition(
        "accounts_on_device_30d", Key.DEVICE, Kind.DIFFERENT, "Different accounts on the device in 30 days, this one included.",
        30 * DAY, of="user_id", itself=True,
    ),
    Definition(
        "accounts_on_ip_24h", Key.ADDRESS, Kind.DIFFERENT, "Different accounts at the address in 24 hours, this one included.",
        DAY, of="user_id", itself=True,
    ),
)  # fmt: skip
NAMES: Final = tuple(definition.name for definition in DEFINITIONS)
NEEDED: Final = ("user_id", "device_id", "ip_address", "card_id")
"""Texts of an order that memory keeps, beside its time and amount."""
MASKED_ADDRESS: Final = r"x|[.]0$|::(0{1,4}:)*0{0,4}$|(:0{1,4}){4}$"
"""Found in an internet address whose end is masked: a.b.xxx.xxx, a.b.c.0, or an IPv6 address of zeros from the 65th bit on. It
stands for the addresses of thousands of strangers, so it is nobody's key.
"""
_is_masked = re.compile(MASKED_ADDRESS).search
LONGEST: Final = max(definition.window or 0 for definition in DEFINITIONS)
"""The longest window, in seconds: what is older than that no window of a new order sees."""
BY_KEY: Final[Mapping[Key, tuple[Definition, ...]]] = {
    key: tuple(definition for definition in DEFINITIONS if definition.key is key) for key in Key
}


def documented() -> str:
    """All fields as a table in Markdown, as docs/history.md has it."""
    lines = ["| field | of | over | counts | in words |", "|---|---|---|---|---|"]
    for one in DEFINITIONS:
        over = f"{one.window // HOUR} h" if one.window else "all time"
        counts = f"{one.kind.value} {one.of}".strip() + (", itself too" if one.itself else "")
        lines.append(f"| `{one.name}` | {one.key.value} | {over} | {counts} | {one.sentence} |")
    return "\n".join(lines)


def is_known(
    definition: Definition, at: int, since: int, opened: int | None, texts: Mapping[str, str | None], folded_until: int = 0
) -> bool:  # fmt: skip
    """Whether a field can be known of an order.

    Its key and its other field have to be there, and memory, which began at `since`, has to reach back over the window; without
    a window it has to be older than the account, which was `opened` then. Of what is folded neither windows nor orders that
    are older themselves know anything. Times are seconds since 1970.
    """
    if not texts.get(definition.key.value) or (definition.of and not texts.get(definition.of)):
        return False
    if definition.window is not None:
        return at - definition.window >= max(since, folded_until)
    return opened is not None and opened >= since and at >= folded_until


def key_text(name: str, text: str | None) -> str | None:
    """What memory keeps of a text of an order; None where it names nobody: unknown, empty, or a masked address."""
    if not text or (name == Key.ADDRESS.value and _is_masked(text)):
        return None
    return text


def amount_units(amount: float | None) -> int | None:
    """An amount in ten-thousandths, as it is summed."""
    return None if amount is None else min(round(amount * AMOUNT_UNITS), LARGEST_AMOUNT)
