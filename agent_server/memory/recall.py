"""Remembering an order and reading its past, in one step: of two orders of one device at once, one sees the other."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent_server.ledger.group import Group
from agent_server.ledger.keeping import Kept, Seen, kept_before
from agent_server.ledger.records import content_digest
from agent_server.ledger.schema import ATTEMPTS, ENTRIES
from agent_server.memory.statements import APART, SAME, statement
from contract.fields import REQUIRED
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, DEFINITIONS, NEEDED, Definition, Kind, amount_units, is_known
from history.replay import Value, mean_amount

FORGOTTEN: dict[str, None] = dict.fromkeys(("transaction_id", *NEEDED, "amount"))
"""What an attempt loses that counts no more, or whose person was erased: all but its number and its time."""
_NONE = -(1 << 62)
"""The number of no attempt."""


@dataclass(frozen=True)
class Recalled:
    """What memory knows of an order that was not decided before: its place there, and the fields that it can fill."""

    seen: Seen
    values: dict[str, Value]


class Recall:
    """Remembers an order, and gives what is known of its past; or the answer, where the same order was decided before."""

    relaxed = True
    """It need not be on disk before the decision is, which is written behind it."""

    def __init__(self, order: Transaction) -> None:
        self.transaction_id = order.transaction_id
        self._order, self._digest = order, content_digest(order)

    def __call__(self, group: Group) -> Kept | Recalled:
        """Remember it."""
        before = kept_before(group, self.transaction_id, self._digest)
        if before is not None:
            return before
        order, texts = self._order, _texts(self._order)
        at, opened = order.timestamp.seconds, _opened(self._order)
        known = tuple(
            definition
            for definition in DEFINITIONS
            if not order.HasField(definition.name) and is_known(definition, at, group.memory_since, opened, texts)
        )
        attempt = {"at": at, "amount": amount_units(order.order_amount) if order.HasField("order_amount") else None}
        attempt |= digests(group.memory_key, {"transaction_id": order.transaction_id, **texts})
        if group.revisions(self.transaction_id):
            _replace(group, self.transaction_id)
        asked = statement(known)
        row = group.run(asked, attempt | {"own": _NONE}).one()._mapping
        number = _undecided(group, row[SAME], attempt)
        if number is None:
            number = group.next_attempt()
            group.insert(ATTEMPTS, attempt | {"number": number, "counts": True})
        else:
            group.next_attempt()  # a place of its own for this look: who asks again sees what came since
            row = group.run(asked, attempt | {"own": number}).one()._mapping
        return Recalled(Seen(number, group.attempts), _values(known, row, at))


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
    return same if all(row[name] == value for name, value in attempt.items()) else None


def _replace(group: Group, transaction_id: str) -> None:
    """Forget the attempt that the latest decision on an order was about: this one has other content."""
    latest = group.revisions(transaction_id)[-1].sequence
    facts = group.execute(sa.select(ENTRIES.c.facts).where(ENTRIES.c.sequence == latest)).scalar_one()
    number = DecisionFacts.FromString(facts).memory_number
    if number:
        group.execute(ATTEMPTS.update().where(ATTEMPTS.c.number == number).values(FORGOTTEN))


def _values(known: Sequence[Definition], row: Any, at: int) -> dict[str, Value]:
    return {definition.name: _value(definition, row, at) for definition in known}


def _value(definition: Definition, row: Any, at: int) -> Value:
    name, kind = definition.name, definition.kind
    if kind is Kind.MEAN_AMOUNT:
        return mean_amount(*map(int, row[name].split(APART)))
    if kind is Kind.DAYS_SINCE_FIRST:
        return 0 if row[name] is None else (at - int(row[name])) // DAY
    if kind is Kind.NEW:
        return row[name] is None
    return int(row[name]) + int(kind is Kind.ATTEMPTS and definition.itself)
