"""Whether a request comes from a program of this machine, also where a proxy on this machine forwards it."""

from collections.abc import Iterable, Sequence

from runtime.access.loopback import is_loopback

FORWARDED_FOR = "x-forwarded-for"
"""Where a proxy names the addresses that a request came from; our edge appends the one that it saw itself."""
_OTHER = ("forwarded", "x-real-ip")
"""Headers of other proxies. Ours sends none of them, so that what they say is not looked at."""


def is_forwarded_from_elsewhere(headers: Iterable[tuple[str, str]]) -> bool:
    """Return whether a proxy says that a request came from another machine, or says it in a way that is not ours.

    Args:
        headers: pairs of name, in lower case, and value; a name may stand there several times.

    """
    for name, value in headers:
        if name in _OTHER:
            return True
        if name == FORWARDED_FOR and not all(is_loopback(address.strip()) for address in value.split(",")):
            return True
    return False


def is_local_caller(peer: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether a request has come from this machine all the way.

    Args:
        peer: the address at the other end of the connection.
        headers: ASGI's headers.

    """
    decoded = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    return is_loopback(peer) and not is_forwarded_from_elsewhere(decoded)
