"""Ages on command lines: 60d."""

import argparse
import re
from typing import Final

_AGE = re.compile(r"(\d{1,5})d")
DAY: Final = 86_400_000_000
"""Microseconds."""


def age(text: str) -> int:
    """Days. Raises ArgumentTypeError."""
    match = _AGE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write days, like 400d")
    return int(match[1])
