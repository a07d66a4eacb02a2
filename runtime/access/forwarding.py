"""Whether a request comes from a program of this machine, also where an edge on this machine forwards it."""

import socket
from collections.abc import Sequence

from runtime.access.loopback import is_loopback

FORWARDED_FOR = "x-forwarded-for"
_OTHER = ("forwarded", "x-real-ip")
"""Headers of other proxies. Ours sends none of them, so that what they say is not looked at."""


def is_local_caller(peer: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request has come from this machine all the way.

    Args:
        peer: the address at the other end of the connection.
        headers: ASGI's headers. An edge adds the address of its caller to X-Forwarded-For; for a caller on loopback Envoy
            names an address that the machine has.

    """
    if not is_loopback(peer):
        return False
    forwarded: list[str] = []
    for name, value in headers:
        if name == FORWARDED_FOR.encode():
            forwarded += [one.strip() for one in value.decode("latin-1").split(",")]
        elif name.decode("latin-1") in _OTHER:
            return False
    return all(is_loopback(one) or _is_own(one) for one in forwarded)


def _is_own(address: str) -> bool:
    """Whether an address is one of this machine's: nobody can listen at another."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((address, 0))
    except (OSError, UnicodeError, ValueError):
        return False
    return address not in ("", "0.0.0.0", "::")  # noqa: S104  these mean any address
