"""The caller of a request, and the roles."""

import re
from dataclasses import dataclass
from typing import Final

from runtime.access import SecurityError

SHOP, REVIEWER, AUDITOR, ADMIN = "shop", "reviewer", "auditor", "admin"
ROLES: Final = (SHOP, REVIEWER, AUDITOR, ADMIN)
WITHOUT_ROLE: Final = "legacy"
"""Role of keys from version 0.1, which had no roles: that of a shop, and read access to cases."""


@dataclass(frozen=True)
class Caller:
    """The name and role of a key or certificate. Without either, the name is empty and the role is the least.

    A local caller of a server without keys and client CA is `LOCAL_USER` of runtime/rpc/authentication.py: it may do
    everything.
    """

    name: str = ""
    role: str = SHOP


ANONYMOUS: Final = Caller()
"""A caller without a key: one not yet authenticated, or a remote caller of a service opened with --insecure."""
_ENTRY = re.compile(r"\s*([^\s=,][^=,]*?)\s*=\s*([a-z]+)\s*")


def read_certificate_roles(text: str) -> dict[str, str]:
    """Parse `name=role, name=role` and return roles by certificate name. Raise SecurityError naming the wrong entry."""
    roles: dict[str, str] = {}
    for entry in text.split(",") if text.strip() else ():
        match = _ENTRY.fullmatch(entry)
        if not match or match[2] not in ROLES:
            raise SecurityError(f"{entry.strip()!r} is not name=role; roles are {', '.join(ROLES)}")
        if match[1] in roles:
            raise SecurityError(f"{match[1]} has two roles")
        roles[match[1]] = match[2]
    return roles
