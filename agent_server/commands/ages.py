"""Parses ages on command lines, such as 60d."""

import argparse
import datetime as dt
import re

_AGE = re.compile(r"(\d{1,5})d")


def parse_days(text: str) -> int:
    """Return the number of days. Raises ArgumentTypeError."""
    match = _AGE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"invalid age {text!r}; write days, like 400d")
    return int(match[1])


def days_ago(days: int) -> int:
    """Return the time that many days ago, in microseconds since 1970."""
    return int((dt.datetime.now(dt.UTC) - dt.timedelta(days)).timestamp() * 1e6)
