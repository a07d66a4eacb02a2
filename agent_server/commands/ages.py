"""Ages on command lines: 60d."""

import argparse
import datetime as dt
import re

_AGE = re.compile(r"(\d{1,5})d")


def age(text: str) -> int:
    """Days. Raises ArgumentTypeError."""
    match = _AGE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write days, like 400d")
    return int(match[1])


def long_ago(days: int) -> int:
    """The moment of so many days ago, in microseconds since 1970."""
    return int((dt.datetime.now(dt.UTC) - dt.timedelta(days)).timestamp() * 1e6)
