"""Who makes a call, and what roles there are."""

import re
from dataclasses import dataclass
from typing import Final

from runtime.access import SecurityError

SHOP, REVIEWER, AUDITOR, ADMIN = "shop", "reviewer", "auditor", "admin"
ROLES: Final = (SHOP, REVIEWER, AUDITOR, ADMIN)
WITHOUT_ROLE: Final = "shop, and reads cases"
"""The role of keys that were made before there were roles."""


@dataclass(frozen=True)
class Caller:
    """The name of the key or certificate, and its role. Without either the name is empty, and the role the least."""

    name: str = ""
    role: str = SHOP


NOBODY: Final = Caller()
"""Before a call is authenticated."""
_ENTRY = re.compile(r"\s*([^\s=,][^=,]*?)\s*=\s*([a-z]+)\s*")


def read_certificate_roles(text: str) -> dict[str, str]:
    """Return roles by certificate name, of `name=role, name=role`. Raises SecurityError that names the wrong entry."""
    roles: dict[str, str] = {}
    for entry in text.split(",") if text.strip() else ():
        match = _ENTRY.fullmatch(entry)
        if not match or match[2] not in ROLES:
            raise SecurityError(f"{entry.strip()!r} is not name=role; roles are {', '.join(ROLES)}")
        if match[1] in roles:
            raise SecurityError(f"{match[1]} has two roles")
        roles[match[1]] = match[2]
    return roles
