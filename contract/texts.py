"""Normalisation of texts with several spellings, so that training and serving give the same value the same score.

Pure. A text that becomes empty is unknown.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

_CACHE_SIZE = 8192


@lru_cache(maxsize=_CACHE_SIZE)
def mail_domain(text: str) -> str:
    """Return a mail domain as a DNS name: lower case, ASCII, without the part up to @, spaces and trailing dots.

    International names are mapped by UTS 46 and written as A-labels (xn--...), so that full-width look-alikes and
    invisible letters give the same name. A text that is not a valid name is only lower-cased.
    """
    name = text.rpartition("@")[2].strip()
    while name and (name[-1] == "." or name[-1].isspace()):  # all kinds of spaces that `strip` removes
        name = name.rstrip(".").rstrip()
    name = name.lower()
    if name.isascii():
        return name
    import idna  # imported only for the few texts that need it

    try:
        return idna.encode(name, uts46=True).decode("ascii").rstrip(".")
    except idna.IDNAError:
        return name


@lru_cache(maxsize=_CACHE_SIZE)
def code(text: str) -> str:
    """Return a country or currency code in capitals, without surrounding spaces."""
    return text.strip().upper()


NORMALISED: Final[Mapping[str, Callable[[str], str]]] = {
    "email_domain": mail_domain,
    "currency": code,
    "ip_country": code,
    "card_country": code,
    "billing_country": code,
    "shipping_country": code,
}
"""Fields with several spellings, and the function that normalises each."""
