"""Which Host a request may name where no key is asked for: DNS rebinding reaches loopback under a foreign name.

A page of evil.example whose name is bent to 127.0.0.1 is of the same origin as the server, so that neither CORS nor the Origin
header stops it. Its Host header still says evil.example. `envoy/edge.lua` has the same rule; one test holds both to one table.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

ANY: Final = "*"
_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def host_name(value: str) -> str:
    """The name or address in a Host header, in lower case and without port and last dot; empty where it is no host."""
    match = _HOST.fullmatch(value.lower())
    return match[1].removesuffix(".") if match else ""


def is_allowed_host(values: Sequence[str], allowed: Iterable[str], own_address: str = "") -> bool:
    """Whether a request with these Host headers may be answered.

    Args:
        values: all Host headers of the request; there must be exactly one.
        allowed: names and addresses beside those of loopback, or ANY.
        own_address: the address that the connection came in at. A page cannot have it as its name, and probes of
            orchestrators use it.

    """
    if ANY in allowed:
        return True
    name = host_name(values[0]) if len(values) == 1 else ""
    return bool(name) and (_is_loopback_name(name) or name in allowed or _same_address(name, own_address))


def _is_loopback_name(name: str) -> bool:
    if name in ("localhost", "[::1]"):
        return True
    try:
        return ipaddress.IPv4Address(name).is_loopback
    except ValueError:
        return False


def _same_address(name: str, own_address: str) -> bool:
    try:
        return ipaddress.ip_address(name.strip("[]")) == ipaddress.ip_address(own_address)
    except ValueError:
        return False
