"""Without keys or certificates a server stays on loopback."""

import ipaddress

from runtime.access import SecurityError


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def require_loopback(address: str, *, guarded: bool, insecure: bool, variable: str) -> None:
    """Raise SecurityError where an address beyond loopback would be open to anybody.

    `guarded` says that callers must show a key or a certificate; `insecure`, that somebody wants it open all the same.
    """
    host = address.rpartition(":")[0]
    if guarded or insecure or address.startswith("unix:") or is_loopback(host):
        return
    raise SecurityError(
        f"{variable}={address} is open to other machines, and nothing asks who calls: set API keys "
        "(`vouch keys add NAME`) or a client CA, listen on 127.0.0.1, or say --insecure"
    )
