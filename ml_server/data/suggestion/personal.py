"""Recognises columns that identify persons, so that no model stores them. Pure.

A model keeps the values of its text features, and `vouch privacy erase` cannot reach into a model.
"""

import re
from typing import Any, Final

import pandas as pd

from ml_server.data.suggestion.aliases import simple
from ml_server.data.suggestion.guess import ENOUGH, as_text
from ml_server.data.values import Series

_NAMED: Final = re.compile(
    r"(^|_)(first|last|given|family|full|middle|card_?holder|holder|sur|bill_to|ship_to|billing|shipping|customer|buyer"
    r"|recipient|shopper|contact|payer|card|account)_?(name|title)($|_)"
    r"|^(name|first|last|forename|surname|vorname|nachname|nom|prenom|apellidos?|cardholder|salutation)$"
    r"|(^|_)(phone|telephone|tel|telefon|mobile_(no|number|phone)|fax|street|strasse|address(_?\d|_line_?\d?)?|addr\d"
    r"|iban|dob|date_of_birth|birth_?da(y|te)|geburtsdatum|passport|ssn|tax_id|vat_number|notes?|note_attributes"
    r"|comments?|message|gift_message|remark|username|login|ip(_address)?|latitude|longitude|lat|long|lng)($|_)"
)
_FLAGS: Final = re.compile(r"(_match|_ok|_valid|_verified|_confirmed|_known|_status|_check|_result|_count|_age|_days)$")
_EMAIL: Final = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_PHONE: Final = r"(\+|00)\d[\d\s().\-/]{6,20}|\(\d{2,5}\)[\d\s.\-/]{5,15}|\d{3}[\s.\-]\d{3}[\s.\-]\d{4}"
_ADDRESS: Final = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|(?=.*:.*:)[0-9a-fA-F:]{6,45}"
_STREET: Final = (
    r"(?i)\d+[a-z]?\s+\S.*\b(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|way|blvd|boulevard|rue|place)\b.*"
    r"|.*(?:stra(?:ß|ss)e|str\.|weg|platz|gasse|allee)\s*\d+.*|(?:calle|via|rua|avenida)\s.*\d+.*"
)
_SHAPES: Final = (
    (_EMAIL, "e-mail addresses"),
    (_PHONE, "phone numbers"),
    (_ADDRESS, "IP addresses"),
    (_STREET, "postal addresses"),
)
_MIN_PERSONS: Final = 20
_IDENTIFYING: Final = 0.9
"""Share of customers with one value, and of values with one customer, from which a column identifies customers."""


def is_email(series: "Series[Any]") -> bool:
    """Return whether a column contains e-mail addresses."""
    texts = as_text(series)
    return not texts.empty and bool(texts.str.fullmatch(_EMAIL).mean() >= ENOUGH)


def personal_reason(column: str, series: "Series[Any]", users: "Series[Any] | None") -> str | None:
    """Return why a column must not become a feature because it identifies persons, or None.

    `users` are the user ids of the same rows, if they are known. Values decide before names.
    """
    texts = as_text(series)
    if texts.empty:
        return None
    for shape, what in _SHAPES:
        # Free texts that only sometimes contain an address are as personal as columns of addresses.
        if texts.str.fullmatch(shape).mean() >= 0.5 or (shape == _EMAIL and texts.str.contains(shape).mean() >= 0.2):
            return f"it contains {what}, which identify persons"
    name = simple(column)
    if _NAMED.search(name) and not _FLAGS.search(name) and texts.nunique() > 2:
        return "by its name it describes persons, whom a model must not store"
    if users is not None and _identifies(series, users):
        return "almost every customer has a value of their own, so it identifies them"
    return None


def _identifies(series: "Series[Any]", users: "Series[Any]") -> bool:
    """Return whether values and customers correspond one to one, in a file in which customers return."""
    pairs = pd.DataFrame({"value": series.astype("string"), "user": users.astype("string")}).dropna()
    persons = pairs["user"].nunique()
    if persons < _MIN_PERSONS or persons > 0.8 * len(pairs):
        return False
    several = pairs.groupby("user")["value"]
    returning = several.size() > 1
    if returning.sum() < _MIN_PERSONS:
        return False
    same = bool((several.nunique()[returning] == 1).mean() >= _IDENTIFYING)
    return same and bool((pairs.groupby("value")["user"].nunique() == 1).mean() >= _IDENTIFYING)
