"""Remembering an order and reading its past, in one step: of two orders of one device at once, one sees the other."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent_server.ledger.group import Group
from agent_server.ledger.keeping import Kept, Seen, kept_before
from agent_server.ledger.records import content_digest
from agent_server.ledger.schema import ATTEMPTS
from agent_server.memory.statements import AMOUNTS, FOLDED_PREFIX, SAME, UNITS, statement
from contract.fields import REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, DEFINITIONS, NEEDED, Definition, Kind, amount_units, is_known
from history.replay import Value, days_since, mean_amount

FORGOTTEN: dict[str, None] = dict.fromkeys(("transaction_id", *NEEDED, "amount"))
"""What an attempt loses that counts no more, or whose person was erased: all but its number and its time."""


@dataclass(frozen=True)
class Recalled:
    """What memory knows of an order that was not decided before: its place there, and the fields that it can fill."""

    seen: Seen
    values: dict[str, Value]


class Recall:
    """Remembers an order, and gives what is known of its past; or the answer, where the same order was decided before.

    Of those that come at once all are remembered first, and then each sees the ones before it.
    """

    relaxed = True
    """It need not be on disk before the decision is, which is written behind it."""

    def __init__(self, order: Transaction) -> None:
        self.transaction_id = order.transaction_id
        self._order, self._digest, self._texts = order, content_digest(order), _texts(order)
        self._attempt: dict[str, Any] = {}

    def enter(self, group: Group) -> bool:
        """Remember the order, where nothing was decided on it yet; whether that is so."""
        self._attempt = {}  # a group that failed is tried again
        if group.revisions(self.transaction_id):
            return False
        self._enter(group)
        return True

    def __call__(self, group: Group) -> Kept | Recalled:
        """Give what is known."""
        if not self._attempt:
            before = kept_before(group, self.transaction_id, self._digest)
            if before is not None:
                return before
            if group.revisions(self.transaction_id):
                _replace(group, self.transaction_id)
            self._enter(group)
        order, attempt = self._order, self._attempt
        number, at = attempt["number"], attempt["at"]
        opened = _opened(order)
        known = tuple(
            definition
            for definition in DEFINITIONS
            if not order.HasField(definition.name)
            and is_known(definition, at, group.memory_since, opened, self._texts, group.folded_until)
        )
        asked, asking = statement(known), attempt | {"before": number, "own": number}
        row = group.run(asked, asking)
        same = _undecided(group, row[SAME], attempt)
        if same is not None:  # it keeps its place; who asks again sees what came since
            group.execute(ATTEMPTS.delete().where(ATTEMPTS.c.number == number))
            row = group.run(asked, asking | {"own": same})
        return Recalled(Seen(same or number, number), _values(known, row, at))

    def _enter(self, group: Group) -> None:
        order = self._order
        amount = amount_units(order.order_amount) if order.HasField("order_amount") else None
        texts = {"transaction_id": order.transaction_id, **self._texts}
        self._attempt = {"at": order.timestamp.seconds, "amount": amount, **digests(group.memory_key, texts)}
        self._attempt |= {"number": group.next_attempt(), "counts": True}
        group.insert(ATTEMPTS, self._attempt)


def digests(key: bytes, texts: Mapping[str, str | None]) -> dict[str, int | None]:
    """What memory keeps instead of texts: 64 bits, which nobody without the key can tell from others."""
    return {
        name: int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "big", signed=True)
        if text
        else None
        for name, text in texts.items()
    }


def _texts(order: Transaction) -> dict[str, str | None]:
    """The texts of an order that memory looks at."""
    return {name: getattr(order, name) if name in REQUIRED or order.HasField(name) else None for name in NEEDED}


def _opened(order: Transaction) -> int | None:
    """When the account was opened, as far as the order says."""
    if order.HasField("account_created_date"):
        return order.account_created_date.seconds
    return order.timestamp.seconds - order.account_age_days * DAY if order.HasField("account_age_days") else None


def _undecided(group: Group, same: int | None, attempt: Mapping[str, Any]) -> int | None:
    """The number of the same order, where it was asked about before and nothing was decided."""
    if same is None:
        return None
    row = group.execute(sa.select(ATTEMPTS).where(ATTEMPTS.c.number == same)).one()._mapping
    alike = all(row[name] == value for name, value in attempt.items() if name not in ("number", "counts"))
    return same if alike else None


def _replace(group: Group, transaction_id: str) -> None:
    """Forget the attempts that decisions on an order were about: this one has other content, and takes the place of all."""
    numbers = {revision.memory_number for revision in group.revisions(transaction_id)} - {0}
    if numbers:
        group.execute(ATTEMPTS.update().where(ATTEMPTS.c.number.in_(numbers)).values(FORGOTTEN))


def _values(known: Sequence[Definition], row: Any, at: int) -> dict[str, Value]:
    return {definition.name: _value(definition, row, at) for definition in known}


def _value(definition: Definition, row: Any, at: int) -> Value:
    """A field, from what statements count of attempts and what was folded of an account's."""
    name, kind, whole = definition.name, definition.kind, definition.window is None
    if kind is Kind.MEAN_AMOUNT:
        units = int(row[name + UNITS] or 0) + (row[FOLDED_PREFIX + "units"] or 0)
        return mean_amount(units, row[name + AMOUNTS] + (row[FOLDED_PREFIX + "amounts"] or 0))
    if kind is Kind.DAYS_SINCE_FIRST:
        firsts = [moment for moment in (row[name], row[FOLDED_PREFIX + "first"]) if moment is not None]
        return days_since(min(firsts), at) if firsts else 0
    if kind is Kind.NEW:
        return not row[name] and (not whole or row[FOLDED_PREFIX + "device"] is None)
    if kind is Kind.ORDERS and whole:
        return int(row[name]) + (row[FOLDED_PREFIX + "orders"] or 0)
    return int(row[name]) + int(kind is Kind.ATTEMPTS and definition.itself)
