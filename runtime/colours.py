"""Whether output is coloured."""

import os
from typing import TextIO


def wants_colour(stream: TextIO) -> bool:
    """Return whether to colour text for a stream: on terminals, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
