"""One way to write what can be written in several: the same value has the same score, in training and in serving.

Pure. A text of which nothing is left is unknown.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

_KEPT = 8192


@lru_cache(maxsize=_KEPT)
def mail_domain(text: str) -> str:
    """A mail domain as its DNS name: without the part up to @, spaces and trailing dots, in lower case and ASCII.

    International names are mapped by UTS 46 and written as A-labels (xn--...), so that look-alikes by width and invisible
    letters are the same name; what is no such name stays as it is, in lower case.
    """
    name = text.rpartition("@")[2].strip()
    while name and (name[-1] == "." or name[-1].isspace()):  # spaces of all kinds, as `strip` knows them
        name = name.rstrip(".").rstrip()
    name = name.lower()
    if name.isascii():
        return name
    import idna  # a tenth of a millisecond's import for the few that need it

    try:
        return idna.encode(name, uts46=True).decode("ascii").rstrip(".")
    except idna.IDNAError:
        return name


@lru_cache(maxsize=_KEPT)
def code(text: str) -> str:
    """A code of a country or a currency: in capitals, without spaces around it."""
    return text.strip().upper()


NORMALISED: Final[Mapping[str, Callable[[str], str]]] = {
    "email_domain": mail_domain,
    "currency": code,
    "ip_country": code,
    "card_country": code,
    "billing_country": code,
    "shipping_country": code,
}
"""Fields that can be written in several ways, and how each is brought into one."""
