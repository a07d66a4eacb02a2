"""The loopback rule: a server without keys or certificates is not exposed to other machines."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from runtime.access import SecurityError


@lru_cache(64)  # asked for every request, with the same few addresses
def is_loopback(host: str) -> bool:
    """Return whether an address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def require_loopback(address: str, *, guarded: bool, insecure: bool, variable: str) -> None:
    """Raise SecurityError if an address beyond loopback would be open to everyone.

    Args:
        address: host:port or unix:path to listen on.
        guarded: callers must present a key or a certificate.
        insecure: the operator allows unauthenticated callers.
        variable: the setting to name in the error.

    """
    host = address.rpartition(":")[0]
    if guarded or insecure or address.startswith("unix:") or is_loopback(host):
        return
    raise SecurityError(
        f"{variable}={address} is reachable from other machines without authentication; set API keys "
        "(`vouch keys add NAME`) or a client CA, listen on 127.0.0.1, or pass --insecure"
    )


def is_loopback_target(target: str) -> bool:
    """Return whether a URL or a gRPC target (host:port, dns:..., ipv4:..., unix:path) stays on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    if target.startswith(("http://", "https://")):
        return is_loopback(urlsplit(target).hostname or "")
    addresses = re.sub(r"^(dns:(//[^/]*/)?|ipv[46]:)", "", target).split(",")
    return all(is_loopback(_without_port(address)) for address in addresses)


def _without_port(address: str) -> str:
    """Return the host of host:port, [v6]:port, host or v6."""
    if address.startswith("["):
        return address.partition("]")[0] + "]"
    return address if address.count(":") > 1 else address.partition(":")[0]


def require_encryption(target: str, *, encrypted: bool, advice: str) -> None:
    """Raise SecurityError if a key would be sent to another machine in plain text. `advice` says what to set."""
    if not encrypted and not is_loopback_target(target):
        raise SecurityError(f"the API key would be sent to {target} in plain text; {advice}")
