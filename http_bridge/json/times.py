"""Times in REST's format."""

import datetime as dt
import re
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

SCHEMA: Final = {"type": "string", "format": "date-time", "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-"}
"""The OpenAPI schema of a time. Times without Z and offset are accepted too."""
_FORMAT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|([+-])(\d\d):(\d\d))?", re.ASCII)
_EPOCH: Final = dt.datetime(1970, 1, 1)
_LAST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z


def to_timestamp(text: Any) -> Timestamp:
    """Parse a time like 2025-02-11T10:00:00, with optional Z or offset and up to nine fractional digits.

    Without Z and offset it is in UTC. Second 60 is the second after 59. Raises ValueError for any other text, and for a
    time before 1970 or after 9999 in UTC.
    """
    seconds, nanos = to_seconds(text)
    return Timestamp(seconds=seconds, nanos=nanos)


def to_seconds(text: Any) -> tuple[int, int]:
    """Parse a time like `to_timestamp`; return seconds since 1970 and nanoseconds."""
    match = _FORMAT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a time as a string, like 2025-02-11T10:00:00 or 2025-02-11T10:00:00Z")
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    try:
        moment = dt.datetime(year, month, day, hour, minute, 59 if second == 60 else second)
    except ValueError as error:
        raise ValueError(f"invalid time: {error}") from error
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds + (second == 60)
    if match[9]:
        hours, minutes = int(match[10]), int(match[11])
        if hours > 23 or minutes > 59:
            raise ValueError("the offset must be between -23:59 and +23:59")
        seconds -= (1 if match[9] == "+" else -1) * (hours * 3600 + minutes * 60)
    if not 0 <= seconds <= _LAST:
        raise ValueError("the time must be between 1970-01-01T00:00:00Z and 9999-12-31T23:59:59Z")
    return seconds, int(match[7].ljust(9, "0")) if match[7] else 0
