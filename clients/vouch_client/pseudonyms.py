"""Pseudonyms of e-mail addresses, phone numbers and shipping addresses, made by the shop so that no raw value leaves it.

A value is normalised first, so that different spellings of one thing have one pseudonym. examples/typescript has the same
in TypeScript; both pass the vectors in clients/pseudonym_vectors.json.
"""

import hashlib
import hmac
import re
import unicodedata
from typing import Final

MIN_KEY_BYTES: Final = 16
_SAME_DOMAIN: Final = {"googlemail.com": "gmail.com"}
_PLUS_TAGS: Final = frozenset((
    "gmail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "icloud.com", "me.com", "mac.com", "proton.me",
    "protonmail.com", "pm.me", "fastmail.com", "yandex.com", "yandex.ru", "zoho.com",
))  # fmt: skip
"""Providers that deliver name+tag@ to name@."""
_IGNORED: Final = {"gmail.com": ".", "proton.me": ".-_", "protonmail.com": ".-_", "pm.me": ".-_"}
"""Characters that a provider ignores in names."""
_ABBREVIATIONS: Final = {
    "street": "st", "avenue": "ave", "av": "ave", "road": "rd", "boulevard": "blvd", "drive": "dr",
    "lane": "ln", "court": "ct", "square": "sq", "place": "pl", "apartment": "apt", "suite": "ste", "floor": "fl",
}  # fmt: skip
_NAME: Final = re.compile(r"[^ \t\r\n]+")
_DOMAIN: Final = re.compile(r"[a-z0-9_-]+([.][a-z0-9_-]+)*")
_DIACRITICS: Final = re.compile("[\u0300-\u036f]+")


class Pseudonyms:
    """Makes the pseudonyms of one shop: `email_id`, `phone_id` and `shipping_address_id` of an order.

    The same key gives the same pseudonyms. Without the key they cannot be turned back, not even by trying all phone
    numbers, so keep it secret and outside Vouch; with another key, history and links begin anew.
    """

    def __init__(self, key: bytes | str, region: str | None = None) -> None:
        """`key` has 16 bytes or more; a text is encoded as UTF-8. `region` (ISO 3166 alpha-2, like DE) is the country of
        phone numbers that are written without a country code. Raises ValueError for a short key.
        """
        self._key = key.encode() if isinstance(key, str) else bytes(key)
        if len(self._key) < MIN_KEY_BYTES:
            raise ValueError(f"the key has {len(self._key)} bytes; use {MIN_KEY_BYTES} or more, from a random source")
        self._region = region

    def email(self, address: str) -> str:
        """Return the `email_id` of an e-mail address. Raises ValueError if it is none; the error does not quote it."""
        return self._digest("email", normal_email(address))

    def phone(self, number: str) -> str:
        """Return the `phone_id` of a phone number. Raises ValueError if it is none; the error does not quote it."""
        return self._digest("phone", normal_phone(number, self._region))

    def shipping_address(self, *parts: str) -> str:
        """Return the `shipping_address_id` of an address: street, postal code, city and country, in this order.

        Raises ValueError if the parts contain no letter or digit.
        """
        return self._digest("address", normal_address(*parts))

    def _digest(self, kind: str, text: str) -> str:
        """Return HMAC-SHA-256 of the kind and the normal form, as 64 hexadecimal digits."""
        return hmac.new(self._key, f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()


def normal_email(address: str) -> str:
    """Return an e-mail address in lower case, with its domain in ASCII, and without what its provider ignores."""
    name, _, domain = unicodedata.normalize("NFKC", address).strip(" \t\r\n").lower().rpartition("@")
    domain = _ascii_domain(domain.rstrip("."))
    if not _NAME.fullmatch(name) or not _DOMAIN.fullmatch(domain):
        raise ValueError("not an e-mail address; expected name@domain")
    domain = _SAME_DOMAIN.get(domain, domain)
    own = name.partition("+")[0] if domain in _PLUS_TAGS else name
    own = "".join(letter for letter in own if letter not in _IGNORED.get(domain, ""))
    return f"{own or name}@{domain}"


def normal_phone(number: str, region: str | None = None) -> str:
    """Return a phone number in the format E.164, like +493012345678. Needs the package `phonenumbers`."""
    try:
        import phonenumbers
    except ImportError as error:
        raise ImportError(
            "pseudonyms of phone numbers need phonenumbers; pip install 'vouch-client[pseudonyms]'"
        ) from error
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        raise ValueError("not a phone number; expected digits with a country code, or a region for numbers without one")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def normal_address(*parts: str) -> str:
    """Return the words of an address in lower case, without accents and punctuation, with usual words abbreviated."""
    text = _DIACRITICS.sub("", unicodedata.normalize("NFKD", " ".join(parts).lower())).replace("ß", "ss")
    words = "".join(letter if unicodedata.category(letter)[0] in "LNM" else " " for letter in text).split(" ")
    found = " ".join(_abbreviate(word) for word in words if word)
    if not found:
        raise ValueError("the address is empty; pass street, postal code, city and country")
    return found


def _abbreviate(word: str) -> str:
    return word.removesuffix("asse") if word.endswith("strasse") else _ABBREVIATIONS.get(word, word)


def _ascii_domain(domain: str) -> str:
    """Return a domain with international labels in ASCII (xn--...), by UTS 46. Needs the package `idna` for these."""
    if domain.isascii():
        return domain
    try:
        import idna
    except ImportError as error:
        raise ImportError("international mail domains need idna; pip install 'vouch-client[pseudonyms]'") from error
    try:
        labels = idna.uts46_remap(domain, std3_rules=False).split(".")
    except idna.IDNAError:
        return ""
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
