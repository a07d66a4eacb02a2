"""A golden order that looks like the shop's own: its kind of ids, its time, its currency, and only fields that the shop sends.

Nothing of a real order's ids is in it: digits and letters are drawn anew. Only words that shops number their things with stay.
Pure.
"""

import random
import re
import string
from typing import Final

from contract.fields import FIELDS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction

IDS: Final = ("transaction_id", "user_id", "device_id", "card_id")
_WORDS: Final = re.compile(
    r"orders?|ord|tx|txn|trx|trans|transaction|pay|payment|pi|ch|inv|invoice|checkout|cart|id|users?|usr|uid|customers?|cust|"
    r"acct|account|member|client|guest|buyer|dev|device|fp|web|ios|android|app|card|tok|token|pm",
    re.IGNORECASE,
)
"""Words in front of numbers. A name cannot be told from any other word, so that no others stay."""
_HEX = re.compile(r"[0-9a-f-]*\d[0-9a-f-]*", re.ASCII)
_RUN = re.compile(r"[^\W_]+", re.UNICODE)
_INITIAL = re.compile(r"[a-z][_-]?\d", re.ASCII | re.IGNORECASE)
_MARKS: Final = frozenset(string.punctuation + " ")
_HOSTS: Final = ("com", "net", "org")
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxyz", "aeiou"
_LEAST_DRAWN, _LEAST_NAME = 4, 3
_MOST_APART_SECONDS = 600


def make_indistinguishable(golden: Transaction, like: Transaction, chance: random.Random) -> Transaction:
    """Return the golden order as the shop would have sent it about when it sent `like`."""
    order = Transaction()
    order.CopyFrom(golden)
    for name in FIELDS:
        if name not in REQUIRED and not like.HasField(name):
            order.ClearField(name)
    draw_ids(order, like, chance)
    moved = like.timestamp.seconds - chance.randrange(_MOST_APART_SECONDS) - golden.timestamp.seconds
    order.timestamp.seconds += moved
    if order.HasField("account_created_date"):
        order.account_created_date.seconds += moved
    if order.HasField("currency"):
        order.currency = like.currency
    order.extra_texts.clear()
    order.extra_numbers.clear()
    return order


def draw_ids(order: Transaction, like: Transaction, chance: random.Random) -> None:
    """Give an order new ids of the kind that `like` has."""
    for name in IDS:
        if getattr(like, name):
            setattr(order, name, like_this(getattr(like, name), chance))


def like_this(text: str, chance: random.Random) -> str:
    """Return another text of the same kind: digits for digits, letters for letters, names for names; marks and _WORDS stay."""
    if _HEX.fullmatch(text) and any(letter.isalpha() for letter in text):
        return "".join(letter if letter == "-" else chance.choice("0123456789abcdef") for letter in text)
    made, drawn, last = "", 0, 0
    for run in _RUN.finditer(text):
        new = _run_like(text, run, chance)
        made += _marks(text[last : run.start()], chance) + new
        drawn += sum(letter not in _MARKS for letter in new) if new != run[0] else 0
        last = run.end()
    made += _marks(text[last:], chance)
    return made if drawn >= _LEAST_DRAWN else made + "".join(_digit(chance) for _ in range(_LEAST_DRAWN))


def _run_like(text: str, run: re.Match[str], chance: random.Random) -> str:
    """Draw a run of letters and digits anew."""
    word = re.match(r"[A-Za-z]*", run[0])
    kept = word[0] if word else ""
    if not _WORDS.fullmatch(kept) and not (run.start() == 0 and _INITIAL.match(text)):
        kept = ""
    if kept and (run[0] == kept or run[0][len(kept) :].isdecimal()):
        return kept + "".join(_digit(chance) for _ in run[0][len(kept) :])
    name = run[0]
    if "@" in text[: run.start()] and text[run.start() - 1] == "." and not _RUN.search(text, run.end()):
        return chance.choice(_HOSTS)
    if name.isalpha() and len(name) >= _LEAST_NAME and (name[1:].islower() or name.isupper()):
        return _name_like(name, chance)
    return "".join(_letter_like(letter, chance) for letter in name)


def _name_like(name: str, chance: random.Random) -> str:
    """Draw something that can be spoken, in the case of `name`."""
    first = chance.randrange(2)
    made = "".join(chance.choice((_CONSONANTS, _VOWELS)[(first + place) % 2]) for place in range(len(name)))
    return "".join(new.upper() if old.isupper() else new for new, old in zip(made, name, strict=True))


def _letter_like(letter: str, chance: random.Random) -> str:
    if letter.isdigit():
        return _digit(chance)
    return chance.choice(string.ascii_uppercase if letter.isupper() else string.ascii_lowercase)


def _marks(text: str, chance: random.Random) -> str:
    """Keep what separates; anything else is no letter or digit, but may be a part of one."""
    return "".join(letter if letter in _MARKS else _letter_like(letter, chance) for letter in text)


def _digit(chance: random.Random) -> str:
    return chance.choice(string.digits)
