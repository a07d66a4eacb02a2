"""Remembering an order and reading its past, in one step: of two orders of one device at once, one sees the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent_server.ledger.group import Group
from agent_server.ledger.keeping import Kept, Seen, kept_before
from agent_server.ledger.records import content_digest
from agent_server.ledger.schema import ATTEMPTS, ENTRIES, MEMORY
from agent_server.memory.statements import OTHERS, STATEMENTS
from contract.fields import REQUIRED
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, DEFINITIONS, NEEDED, Definition, Kind, amount_units, is_known
from history.replay import Value, mean_amount


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
        order, attempt = self._order, _attempt(self._order)
        number = _undecided(group, attempt)
        if number is None:
            _replace(group, self.transaction_id)
            number = group.next_attempt()
            group.insert(ATTEMPTS, attempt | {"number": number, "counts": True})
        wanted = [one for one in DEFINITIONS if not order.HasField(one.name)]
        texts = {name: attempt[name] for name in NEEDED}
        opened, since = _opened(order, attempt["at"]), group.memory_since
        known = [one for one in wanted if is_known(one, attempt["at"], since, opened, texts)]
        return Recalled(Seen(number, group.attempts), _read(group, known, attempt, number))


def _attempt(order: Transaction) -> dict[str, Any]:
    """The row of an order, without its number."""
    texts = {
        name: getattr(order, name) or None if name in REQUIRED or order.HasField(name) else None for name in NEEDED
    }
    amount = amount_units(order.order_amount) if order.HasField("order_amount") else None
    return {"transaction_id": order.transaction_id, "at": order.timestamp.seconds, "amount": amount, **texts}


def _opened(order: Transaction, at: int) -> int | None:
    """When the account was opened, as far as the order says."""
    if order.HasField("account_created_date"):
        return order.account_created_date.seconds
    return at - order.account_age_days * DAY if order.HasField("account_age_days") else None


def _undecided(group: Group, attempt: dict[str, Any]) -> int | None:
    """The number of the same order, where it was asked about before and nothing was decided."""
    same = [ATTEMPTS.c[name] == attempt[name] for name in ("user_id", "at", "transaction_id")]
    row = group.execute(sa.select(ATTEMPTS).where(*same).order_by(ATTEMPTS.c.number.desc()).limit(1)).first()
    if row is None or group.revisions(attempt["transaction_id"]):
        return None
    return int(row.number) if all(row._mapping[name] == value for name, value in attempt.items()) else None


def _replace(group: Group, transaction_id: str) -> None:
    """Forget the attempt that the latest decision on an order was about: this one has other content."""
    revisions = group.revisions(transaction_id)
    if not revisions:
        return
    facts = group.execute(sa.select(ENTRIES.c.facts).where(ENTRIES.c.sequence == revisions[-1].sequence)).scalar_one()
    number = DecisionFacts.FromString(facts).memory_number
    if number:
        group.execute(ATTEMPTS.update().where(ATTEMPTS.c.number == number).values(FORGOTTEN))


FORGOTTEN: dict[str, None] = dict.fromkeys(("transaction_id", *NEEDED, "amount"))
"""What is left of an attempt that counts no more, or whose person was erased: its number and its time."""


def _read(group: Group, known: Sequence[Definition], attempt: dict[str, Any], number: int) -> dict[str, Value]:
    """The values of fields, by one statement a key."""
    found: dict[str, Value] = {}
    for key in dict.fromkeys(definition.key for definition in known):
        asked = {"name": attempt[key.value], "at": attempt["at"], "number": number}
        row = group.execute(STATEMENTS[key], asked | {other: attempt[other] for other in OTHERS[key]}).one()
        for definition in known:
            if definition.key is key:
                found[definition.name] = _value(definition, row._mapping, attempt["at"])
    return {definition.name: found[definition.name] for definition in DEFINITIONS if definition.name in found}


def _value(definition: Definition, row: Any, at: int) -> Value:
    if definition.kind is Kind.MEAN_AMOUNT:
        return mean_amount(int(row[f"{definition.name}_units"] or 0), row[f"{definition.name}_number"])
    number = row[definition.name]
    if definition.kind is Kind.DAYS_SINCE_FIRST:
        return 0 if number is None else (at - number) // DAY
    return not number if definition.kind is Kind.NEW else int(number)


def since_of(group: Group) -> int:
    """From when on memory knows all orders."""
    return int(group.execute(sa.select(MEMORY.c.since)).scalar_one())
