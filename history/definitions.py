"""Every history feature, declared once: the key whose past it counts, the window, and what it counts.

An attempt is every order that was sent for review. An order is an attempt that is not denied (from its denial on it no
longer counts). Seen from an order at time t, the past of a key is the attempts with that key that arrived earlier and
whose time is not after t. Those whose time is at most the window before t are in the window. Only the latest 1,000
attempts of each key are read, so that a busy key costs no more than another: counts are exact up to that number. Times
are whole seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

LATEST: Final = 1000
"""Limit of the attempts of a key that are read, with the order itself."""
HOUR, DAY = 3600, 86_400
AMOUNT_UNITS: Final = 10_000
"""Amounts are summed as whole ten-thousandths, so that sums are exact in any order."""
MAX_AMOUNT: Final = 9 * 10**15
MAX_DAYS: Final = 36_500
"""Limit of days since a first order, as in the contract: a time may be from any year."""


class Key(Enum):
    """The key whose past is counted. The value is the field of an order that has it."""

    USER = "user_id"
    DEVICE = "device_id"
    ADDRESS = "ip_address"
    EMAIL = "email_id"
    PHONE = "phone_id"
    SHIPPING_ADDRESS = "shipping_address_id"
    CARD = "card_id"
    BIN = "card_bin"


class Kind(Enum):
    """What is computed from the attempts in a window."""

    ATTEMPTS = "attempts"
    """The number of attempts."""
    ORDERS = "orders"
    """The number of attempts that were not denied."""
    DIFFERENT = "different"
    """The number of different values of another field."""
    MEAN_AMOUNT = "mean amount"
    """The mean amount of attempts that were not denied; 0 if there are none."""
    DAYS_SINCE_FIRST = "days since first"
    """Whole days since the first attempt that was not denied, at any time, at most 36,500; 0 if there is none."""
    NEW = "new"
    """Whether another field has a value that none of the attempts had."""


@dataclass(frozen=True, eq=False)  # there is one object of each, and its identity is a faster key
class Definition:
    """A history feature. Without a window it counts an account's whole past, if history is older than the account."""

    name: str
    key: Key
    kind: Kind
    sentence: str
    window: int | None = None
    """In seconds."""
    of: str = ""
    """The other field, for DIFFERENT and NEW."""
    itself: bool = False
    """Whether the order itself counts."""


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
    Definition(
        "accounts_on_email_30d", Key.EMAIL, Kind.DIFFERENT,
        "Different accounts with the e-mail address in 30 days, this one included.", 30 * DAY, of="user_id", itself=True,
    ),
    Definition(
        "accounts_on_phone_30d", Key.PHONE, Kind.DIFFERENT,
        "Different accounts with the phone number in 30 days, this one included.", 30 * DAY, of="user_id", itself=True,
    ),
    Definition(
        "accounts_on_shipping_address_30d", Key.SHIPPING_ADDRESS, Kind.DIFFERENT,
        "Different accounts with the shipping address in 30 days, this one included.", 30 * DAY, of="user_id", itself=True,
    ),
)  # fmt: skip
NAMES: Final = tuple(definition.name for definition in DEFINITIONS)
COUNTED: Final = ("user_id", "device_id", "ip_address", "card_id", "email_id", "phone_id", "shipping_address_id")
"""Texts of an order that the definitions read."""
NEEDED: Final = (*COUNTED, "card_bin")
"""Texts of an order that history stores, besides its time and amount: also those that only rules of a policy count."""
MASKED_ADDRESS: Final = r"x|[.]0$|::(0{1,4}:)*0{0,4}$|(:0{1,4}){4}$"
"""Matches an internet address whose end is masked: a.b.xxx.xxx, a.b.c.0, or an IPv6 address of zeros from the 65th bit
on. It stands for the addresses of thousands of strangers, so it is not a key.
"""
PRIVATE_ADDRESS: Final = (
    r"^(?:::[fF]{4}:)?(?:(?:0|10|127)[.]|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])[.]|169[.]254[.]|"
    r"172[.](?:1[6-9]|2[0-9]|3[01])[.]|192[.]168[.]|(?:22[4-9]|2[3-5][0-9])[.])|"
    r"^(?:0{0,4}:){2,7}0{0,3}1$|^(?:[fF][cCdD]|[fF]{2})[0-9a-fA-F]{2}:|^[fF][eE][89a-fA-F][0-9a-fA-F]:"
)
"""Matches an address outside the public internet: private (RFC 1918, RFC 4193), shared (RFC 6598), loopback, link-local,
multicast or reserved. Shops behind a proxy send such an address for everybody, so it is not a key either.
"""
NO_KEY: Final = f"{MASKED_ADDRESS}|{PRIVATE_ADDRESS}"
"""Matches an internet address that is not a key."""
_is_no_key = re.compile(NO_KEY).search
LONGEST: Final = max(definition.window or 0 for definition in DEFINITIONS)
"""The longest window, in seconds. No window of a new order reaches attempts that are older."""
BY_KEY: Final[Mapping[Key, tuple[Definition, ...]]] = {
    key: tuple(definition for definition in DEFINITIONS if definition.key is key)
    for key in dict.fromkeys(definition.key for definition in DEFINITIONS)
}


def markdown_table() -> str:
    """Return all fields as a Markdown table, as in docs/explanation/history.md."""
    lines = ["| field | of | over | counts | in words |", "|---|---|---|---|---|"]
    for one in DEFINITIONS:
        over = f"{one.window // HOUR} h" if one.window else "all time"
        counts = f"{one.kind.value} {one.of}".strip() + (", itself too" if one.itself else "")
        lines.append(f"| `{one.name}` | {one.key.value} | {over} | {counts} | {one.sentence} |")
    return "\n".join(lines)


def is_known(
    definition: Definition, at: int, since: int, opened: int | None, texts: Mapping[str, str | None], compacted_until: int = 0
) -> bool:  # fmt: skip
    """Return whether a feature of an order can be known.

    The order needs its key and its other field. History, which began at `since`, has to cover the window; without a
    window it has to be older than the account, which was `opened` then. A window that reaches compacted attempts is
    unknown, and so is a whole past seen from an order that is older than they are. Times are seconds since 1970.
    """
    if not texts.get(definition.key.value) or (definition.of and not texts.get(definition.of)):
        return False
    if definition.window is not None:
        return at - definition.window >= max(since, compacted_until)
    return opened is not None and opened >= since and at >= compacted_until


def key_text(name: str, text: str | None) -> str | None:
    """Return the text that history stores; None if it identifies nobody: unknown, empty, or a masked or private address."""
    if not text or (name == Key.ADDRESS.value and _is_no_key(text)):
        return None
    return text


def amount_units(amount: float | None) -> int | None:
    """Return an amount in ten-thousandths, as it is summed."""
    return None if amount is None else min(round(amount * AMOUNT_UNITS), MAX_AMOUNT)
