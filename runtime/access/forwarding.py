"""Detection of requests that a proxy forwards from another machine."""

from collections.abc import Iterable
from typing import Final

from runtime.access.loopback import is_loopback

FORWARDED_FOR = "x-forwarded-for"
"""Header in which proxies list the addresses a request came from. The edge appends the address it saw."""
_OTHER = ("forwarded", "x-real-ip")
"""Headers of other proxies. The edge sends none of them, so their values are not read."""
FORWARDING_HEADERS: Final = frozenset((FORWARDED_FOR, *_OTHER))
"""Without any of these a request was not forwarded."""


def is_forwarded_from_elsewhere(headers: Iterable[tuple[str, str]]) -> bool:
    """Return whether a proxy header names another machine, or is one that the edge does not send.

    Args:
        headers: pairs of lower-case name and value; a name may occur several times.

    """
    for name, value in headers:
        if name in _OTHER:
            return True
        if name == FORWARDED_FOR and not all(is_loopback(address.strip()) for address in value.split(",")):
            return True
    return False
