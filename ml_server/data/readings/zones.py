"""Time zones as files write them: offsets, abbreviations and names. Pure but for the system's database of zones."""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Times = NDArray[np.datetime64]
_HOURS: Final = {
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2,
    "EET": 2, "EEST": 3, "MSK": 3, "SAST": 2, "GST": 4, "PKT": 5, "WIB": 7, "HKT": 8, "SGT": 8, "AWST": 8, "JST": 9,
    "KST": 9, "ACST": 9.5, "ACDT": 10.5, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "NST": -3.5, "NDT": -2.5,
    "AST": -4, "ADT": -3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "AKST": -9, "AKDT": -8, "HST": -10, "BRT": -3, "ART": -3,
}  # fmt: skip
"""Hours from UTC by abbreviation: those of RFC 2822 and others that mean one zone. IST, for example, means three."""
_WORDS: Final = {
    "eastern time": "America/New_York", "central time": "America/Chicago", "mountain time": "America/Denver",
    "pacific time": "America/Los_Angeles", "alaska": "America/Anchorage", "hawaii": "Pacific/Honolulu",
    "arizona": "America/Phoenix", "atlantic time": "America/Halifax", "newfoundland": "America/St_Johns",
    "london": "Europe/London", "dublin": "Europe/Dublin", "paris": "Europe/Paris", "madrid": "Europe/Madrid",
    "berlin": "Europe/Berlin", "tokyo": "Asia/Tokyo", "sydney": "Australia/Sydney",
}  # fmt: skip
"""Zones by the names that shop systems show, without what stands in parentheses: Eastern Time (US & Canada)."""
WINTER_ONLY: Final = ("CET", "MEZ", "WET", "EET", "EST", "CST", "MST", "PST")
"""Abbreviations of zones that have another one in summer. Some programs write them all year."""
_OFFSET: Final = re.compile(r"(?:GMT|UTC|UT)?\s*([+\-\u2212])\s*(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)
_MAX_HOURS: Final = 15


def find_zone(text: str) -> dt.tzinfo | None:
    """Return the zone that a text names: +01:00, GMT+0100 (ahead of UTC), CET, Europe/Berlin. None if none is known."""
    plain = text.strip()
    if match := _OFFSET.fullmatch(plain):
        hours, minutes = int(match[2]), int(match[3] or 0)
        if hours >= _MAX_HOURS or minutes >= 60:
            return None
        offset = dt.timedelta(hours=hours, minutes=minutes)
        return dt.timezone(offset if match[1] == "+" else -offset)
    if (known := _HOURS.get(plain.upper())) is not None:
        return dt.timezone(dt.timedelta(hours=known))
    return find_named_zone(_WORDS.get(re.sub(r"\s*\(.*\)", "", plain).casefold(), plain))


def find_named_zone(name: str) -> ZoneInfo | None:
    """Return a zone of the database of time zones; None if it has none of this name."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def to_utc(local: Times, zone: dt.tzinfo) -> tuple[Times, int]:
    """Return local times in UTC, and how many of them occur twice or never, as clocks are changed.

    A time that occurs twice is the earlier one; one that never occurs is moved to the next that does.
    """
    if isinstance(zone, dt.timezone):
        return local - np.timedelta64(zone.utcoffset(None)), 0
    index = pd.DatetimeIndex(local)
    strict: Any = index.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    unclear = int(strict.isna().sum() - np.isnat(local).sum())
    aware: Any = strict if not unclear else index.tz_localize(
        zone, ambiguous=np.ones(len(index), dtype=bool), nonexistent="shift_forward"
    )  # fmt: skip
    return aware.tz_convert("UTC").tz_localize(None).to_numpy(), unclear


def count_winter_times_in_summer(local: Times, zones: Sequence[str], codes: NDArray[np.int64]) -> int:
    """Return how many times from May to August are in a zone that is only used in winter."""
    winter = [place for place, name in enumerate(zones) if name.upper() in WINTER_ONLY]
    rows = np.isin(codes, winter) & ~np.isnat(local)
    months = local[rows].astype("datetime64[M]").astype(np.int64) % 12
    return int(((months >= 4) & (months <= 7)).sum())


def to_utc_by_texts(
    local: Times, zones: Sequence[str], codes: NDArray[np.int64], default: dt.tzinfo
) -> tuple[Times, int]:
    """Return local times in UTC. `codes` are indexes into `zones`, or -1 where the default applies.

    A time whose zone is not known is missing.
    """
    result, unclear = np.full(len(local), np.datetime64("NaT"), local.dtype), 0
    for code in np.unique(codes):
        rows = codes == code
        zone = default if code < 0 else find_zone(zones[code]) or _abbreviated(zones[code], default)
        if zone is not None:
            result[rows], more = to_utc(local[rows], zone)
            unclear += more
    return result, unclear


def _abbreviated(text: str, zone: dt.tzinfo) -> dt.tzinfo | None:
    """Return the zone if the text is an abbreviation that it uses itself, such as IST in Asia/Kolkata."""
    for month in (1, 7):
        noon = dt.datetime(2026, month, 1, 12, tzinfo=zone)
        if noon.tzname() == text and (offset := noon.utcoffset()) is not None:
            return dt.timezone(offset)
    return None
