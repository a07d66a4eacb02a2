"""Where a request comes from: the Host, Origin and loopback rules that protect servers without API keys.

DNS rebinding: a page of evil.example whose DNS name points to 127.0.0.1 has the same origin as the server, so neither
CORS nor the Origin header stops it. Its Host header still names evil.example. Starlette's TrustedHostMiddleware knows
neither IPv6 addresses, repeated Host headers nor the server's own address. `envoy/edge.lua` has the same rules; one
test checks both against one table.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.types import Scope

from runtime.access.forwarding import is_forwarded_from_elsewhere
from runtime.access.loopback import is_loopback

ANY: Final = "*"
_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://([^/]+)")


def is_local_caller(scope: Scope) -> bool:
    """Return whether an ASGI request comes from this machine, and no proxy forwarded it from another one."""
    client = scope.get("client")
    headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return client is not None and is_loopback(client[0]) and not is_forwarded_from_elsewhere(headers)


def is_same_origin(origin: str, host: str | None) -> bool:
    """Return whether an Origin header names the host of the request's Host header."""
    match = _ORIGIN.fullmatch(origin)
    return match is not None and match[1] == host


def is_loopback_origin(origin: str, host: str | None) -> bool:
    """Return whether Origin names the request's host, and the host is a loopback name (no DNS rebinding)."""
    return host is not None and is_same_origin(origin, host) and is_loopback(re.sub(r":\d+$", "", host))


def host_headers(scope: Scope) -> list[str]:
    """Return all Host headers of an ASGI request."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]


def host_name(value: str) -> str:
    """Return the name or address in a Host header in lower case, without port and last dot; empty if it is invalid."""
    match = _HOST.fullmatch(value.lower())
    return match[1].removesuffix(".") if match else ""


def is_allowed_host(values: Sequence[str], allowed: Iterable[str], own_address: str = "") -> bool:
    """Return whether a request with these Host headers may be answered without a key.

    Args:
        values: all Host headers of the request; there must be exactly one.
        allowed: names and addresses allowed in addition to those of loopback, or ANY.
        own_address: the local address of the connection. It cannot be the name of a page, and probes of orchestrators
            use it.

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
