"""Request timeouts: the header `x-request-timeout` in seconds, or `grpc-timeout` in gRPC's format."""

import re
from collections.abc import Mapping
from typing import Final

NAMES: Final = ("x-request-timeout", "grpc-timeout")
FORMAT_ERROR: Final = "must be seconds, like 0.25, or a number with one of the units H, M, S, m, u, n, like 250m"
_SECONDS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_FORMAT = re.compile(r"(\d{1,8})([HMSmun])|(\d{1,8}(?:\.\d{1,9})?)", re.ASCII)


def request_timeout(headers: Mapping[str, str]) -> float | None:
    """Return the request timeout in seconds; None if no header sets it. Raises ValueError with the header's name."""
    for name in NAMES:
        if name in headers:
            match = _FORMAT.fullmatch(headers[name].strip())
            if match is None:
                raise ValueError(name)
            return float(match[1]) * _SECONDS[match[2]] if match[1] else float(match[3])
    return None
