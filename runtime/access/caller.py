"""Who makes a call, and what roles there are."""

from dataclasses import dataclass
from typing import Final

SHOP, REVIEWER, AUDITOR, ADMIN = "shop", "reviewer", "auditor", "admin"
ROLES: Final = (SHOP, REVIEWER, AUDITOR, ADMIN)
WITHOUT_ROLE: Final = "shop, and reads cases"
"""The role of keys that were made before there were roles."""


@dataclass(frozen=True)
class Caller:
    """The name of the key that was shown, and its role. Where no key is asked for: nobody, who may do everything."""

    name: str = ""
    role: str = ADMIN


NOBODY: Final = Caller()
