"""Makes a golden order resemble an order of the shop: id formats, time, currency, and only fields that the shop sends.

Digits and letters of ids are drawn at random, so nothing of a real order's ids remains. Only common prefixes stay.
Pure.
"""

import random
import re
import string
from typing import Final

from contract.fields import FIELDS, PSEUDONYMS, REQUIRED
from enrichment.minor_units import round_amount
from enrichment.money import AMOUNTS, BASE_CURRENCY, convert_back, rate_of
from generated.vouch.v1.transaction_pb2 import Transaction

IDS: Final = ("transaction_id", "user_id", "device_id", "card_id", *PSEUDONYMS)
_WORDS: Final = re.compile(
    r"orders?|ord|tx|txn|trx|trans|transaction|pay|payment|pi|ch|inv|invoice|checkout|cart|id|users?|usr|uid|customers?|cust|"
    r"acct|account|member|client|guest|buyer|dev|device|fp|web|ios|android|app|card|tok|token|pm",
    re.IGNORECASE,
)
"""Common id prefixes, which are not replaced. All other words are, because they may be names of people."""
_HEX = re.compile(r"[0-9a-f-]*\d[0-9a-f-]*", re.ASCII)
_RUN = re.compile(r"[^\W_]+", re.UNICODE)
_INITIAL = re.compile(r"[a-z][_-]?\d", re.ASCII | re.IGNORECASE)
_SEPARATORS: Final = frozenset(string.punctuation + " ")
_HOSTS: Final = ("com", "net", "org")
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxyz", "aeiou"
_MIN_DRAWN, _MIN_NAME = 4, 3
_MAX_SHIFT_SECONDS = 600


def make_indistinguishable(
    golden: Transaction, template: Transaction, rng: random.Random, base_currency: str = BASE_CURRENCY
) -> Transaction:
    """Return the golden order as the shop would have sent it at about the time of `template`, in its currency.

    Amounts of the golden order are in the base currency.
    """
    order = Transaction()
    order.CopyFrom(golden)
    for name in FIELDS:
        if name not in REQUIRED and not template.HasField(name):
            order.ClearField(name)
    draw_ids(order, template, rng)
    shift = template.timestamp.seconds - rng.randrange(_MAX_SHIFT_SECONDS) - golden.timestamp.seconds
    order.timestamp.seconds += shift
    if order.HasField("account_created_date"):
        order.account_created_date.seconds += shift
    _set_currency(order, template, base_currency)
    order.extra_texts.clear()
    order.extra_numbers.clear()
    return order


def _set_currency(order: Transaction, template: Transaction, base_currency: str) -> None:
    """Give an order the template's currency, with amounts of the same value. Without a rate they stay as numbers."""
    order.ClearField("currency")
    if template.HasField("currency"):
        order.currency = template.currency
    if template.HasField("exchange_rate"):
        order.exchange_rate = template.exchange_rate
    rate = rate_of(template, base_currency) or 1.0
    for name in AMOUNTS if rate != 1.0 else ():
        if order.HasField(name):
            amount = convert_back(getattr(order, name), rate)
            setattr(order, name, round_amount(amount, order.currency))


def draw_ids(order: Transaction, template: Transaction, rng: random.Random) -> None:
    """Give an order new random ids in the format of those of `template`."""
    for name in IDS:
        if getattr(template, name):
            setattr(order, name, similar_text(getattr(template, name), rng))


def similar_text(text: str, rng: random.Random) -> str:
    """Return a random text of the same format: new digits, letters and names; separators and _WORDS stay."""
    if _HEX.fullmatch(text) and any(letter.isalpha() for letter in text):
        return "".join(letter if letter == "-" else rng.choice("0123456789abcdef") for letter in text)
    result, drawn, last = "", 0, 0
    for run in _RUN.finditer(text):
        new = _similar_run(text, run, rng)
        result += _similar_separators(text[last : run.start()], rng) + new
        drawn += sum(letter not in _SEPARATORS for letter in new) if new != run[0] else 0
        last = run.end()
    result += _similar_separators(text[last:], rng)
    return result if drawn >= _MIN_DRAWN else result + "".join(_digit(rng) for _ in range(_MIN_DRAWN))


def _similar_run(text: str, run: re.Match[str], rng: random.Random) -> str:
    """Return a random run of letters and digits in the format of `run`; a common prefix stays."""
    word = re.match(r"[A-Za-z]*", run[0])
    prefix = word[0] if word else ""
    if not _WORDS.fullmatch(prefix) and not (run.start() == 0 and _INITIAL.match(text)):
        prefix = ""
    if prefix and (run[0] == prefix or run[0][len(prefix) :].isdecimal()):
        return prefix + "".join(_digit(rng) for _ in run[0][len(prefix) :])
    name = run[0]
    if "@" in text[: run.start()] and text[run.start() - 1] == "." and not _RUN.search(text, run.end()):
        return rng.choice(_HOSTS)
    if name.isalpha() and len(name) >= _MIN_NAME and (name[1:].islower() or name.isupper()):
        return _similar_name(name, rng)
    return "".join(_similar_letter(letter, rng) for letter in name)


def _similar_name(name: str, rng: random.Random) -> str:
    """Return a pronounceable random name with the length and upper and lower case of `name`."""
    first = rng.randrange(2)
    result = "".join(rng.choice((_CONSONANTS, _VOWELS)[(first + place) % 2]) for place in range(len(name)))
    return "".join(new.upper() if old.isupper() else new for new, old in zip(result, name, strict=True))


def _similar_letter(letter: str, rng: random.Random) -> str:
    if letter.isdigit():
        return _digit(rng)
    return rng.choice(string.ascii_uppercase if letter.isupper() else string.ascii_lowercase)


def _similar_separators(text: str, rng: random.Random) -> str:
    """Keep separators and replace all else: a character that is no letter or digit may be part of one."""
    return "".join(letter if letter in _SEPARATORS else _similar_letter(letter, rng) for letter in text)


def _digit(rng: random.Random) -> str:
    return rng.choice(string.digits)
