"""Counts that rules of a policy can ask for: what is counted, by which key, and over which window.

    history.count("payment_attempt", "card_bin", "1h")

They are read like the fields of `history.definitions`, with the same limits: exact up to 1,000, and unknown where
history does not cover the window or the order does not have the key.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from history.definitions import DAY, HOUR, LATEST, Definition, Key, Kind

MAX_COUNT: Final = LATEST
"""The highest value of a count."""
MAX_WINDOW: Final = 30 * DAY
"""The longest window, in seconds. Attempts are stored for at least as long."""
_SECONDS: Final = {"m": 60, "h": HOUR, "d": DAY}
_ATTEMPTS: Final = (Kind.ATTEMPTS, "")
EVENTS: Final[Mapping[str, Mapping[str, tuple[Kind, str]]]] = {
    "payment_attempt": dict.fromkeys((key.value for key in Key), _ATTEMPTS),
    "order": {Key.USER.value: (Kind.ORDERS, "")},
    "account": dict.fromkeys(
        (key.value for key in (Key.DEVICE, Key.ADDRESS, Key.CARD, Key.BIN)), (Kind.DIFFERENT, "user_id")
    ),
    "card": dict.fromkeys((key.value for key in (Key.USER, Key.BIN)), (Kind.DIFFERENT, "card_id")),
    "device": {Key.USER.value: (Kind.DIFFERENT, "device_id")},
}
"""What can be counted, by event and key: the columns that the indexes contain. All but `order` count the order itself."""


def count_name(event: str, key: str, seconds: int) -> str:
    """Return the name of a count: count_payment_attempt_by_card_bin_3600_."""
    return f"count_{event}_by_{key}_{seconds}_"


def split_name(name: str) -> tuple[str, str, int]:
    """Return event, key and seconds of a name that `count_name` made."""
    event, _, rest = name.removeprefix("count_").removesuffix("_").partition("_by_")
    key, _, seconds = rest.rpartition("_")
    return event, key, int(seconds)


def parse_window(text: str) -> int:
    """Return a window such as 30m, 24h or 7d in seconds; raise ValueError if it is invalid or too long."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in _SECONDS and 0 < len(number) < 6):
        raise ValueError(f"invalid window {text!r}; write 30m, 24h or 7d")
    seconds = int(number) * _SECONDS[unit]
    if not 0 < seconds <= MAX_WINDOW:
        raise ValueError(f"window {text!r} is out of range; use 1m to {MAX_WINDOW // DAY}d")
    return seconds


@cache
def define_count(event: str, key: str, seconds: int) -> Definition:
    """Return the definition of a count; raise ValueError if nothing like it is declared."""
    if event not in EVENTS:
        raise ValueError(f"history does not count {event!r}; use one of {', '.join(EVENTS)}")
    if key not in EVENTS[event]:
        raise ValueError(f"{event} is not counted by {key!r}; use one of {', '.join(EVENTS[event])}")
    kind, of = EVENTS[event][key]
    return Definition(
        count_name(event, key, seconds), Key(key), kind, "", seconds, of=of, itself=kind is not Kind.ORDERS
    )
