"""A golden order that looks like the shop's own: its ids, its time, its currency, and only fields that the shop sends. Pure."""

import random
import re
import string

from contract.fields import FIELDS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction

_IDS = ("transaction_id", "user_id", "device_id")
_HEX = re.compile(r"[0-9a-f-]*\d[0-9a-f-]*", re.ASCII)
_LEAST_TAIL = 4
_MOST_APART_SECONDS = 600


def disguised(golden: Transaction, like: Transaction, chance: random.Random) -> Transaction:
    """The golden order as the shop would have sent it about when it sent `like`."""
    order = Transaction()
    order.CopyFrom(golden)
    for name in FIELDS:
        if name not in REQUIRED and not like.HasField(name):
            order.ClearField(name)
    for name in _IDS:
        if getattr(like, name):
            setattr(order, name, like_this(getattr(like, name), chance))
    moved = like.timestamp.seconds - chance.randrange(_MOST_APART_SECONDS) - golden.timestamp.seconds
    order.timestamp.seconds += moved
    if order.HasField("account_created_date"):
        order.account_created_date.seconds += moved
    if order.HasField("currency"):
        order.currency = like.currency
    order.extra_texts.clear()
    order.extra_numbers.clear()
    return order


def like_this(text: str, chance: random.Random) -> str:
    """Another text of the same kind: digits for digits and letters for letters where ids differ, the rest as it is."""
    if _HEX.fullmatch(text) and any(letter.isalpha() for letter in text):
        return "".join(letter if letter == "-" else chance.choice("0123456789abcdef") for letter in text)
    cut = max(text.rfind(mark) for mark in "_-:./") + 1
    if len(text) - cut < _LEAST_TAIL or text[cut:].isdecimal() or cut == 0:
        changed = "".join(chance.choice(string.digits) if letter in string.digits else letter for letter in text)
        return changed if sum(letter in string.digits for letter in text) >= _LEAST_TAIL else changed + _digits(chance)
    return text[:cut] + "".join(_another(letter, chance) for letter in text[cut:])


def _another(letter: str, chance: random.Random) -> str:
    for kind in (string.digits, string.ascii_lowercase, string.ascii_uppercase):
        if letter in kind:
            return chance.choice(kind)
    return letter


def _digits(chance: random.Random) -> str:
    return "".join(chance.choice(string.digits) for _ in range(_LEAST_TAIL))
