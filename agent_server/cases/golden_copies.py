"""Golden orders: their ids never collide with those of the shop, and a copy is erased with the person that it shows."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from agent_server.cases.lifecycle import close_unresolved
from agent_server.cases.tables import CASE_EVENTS, CASES, GOLDEN_COPIES
from agent_server.ledger.chain import Kind
from agent_server.ledger.removal import request_removal
from agent_server.ledger.schema import ATTEMPTS, FOLDED, FOLDED_DEVICES, PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction
from contract.fields import PSEUDONYMS
from generated.vouch.v1.ledger_entry_pb2 import ErasureFacts

_ID_COLUMNS: Final = {
    "user_id": (ATTEMPTS.c.user_id, FOLDED.c.user_id),
    "device_id": (ATTEMPTS.c.device_id, FOLDED_DEVICES.c.device_id),
    "card_id": (ATTEMPTS.c.card_id,),
    **{name: (ATTEMPTS.c[name],) for name in PSEUDONYMS},
}
"""Columns with digests of ids in the tables of history, by the field of an order."""


def is_unused(tx: LedgerTransaction, transaction_id: str, user_id: str, digests: Mapping[str, int | None]) -> bool:
    """Return whether no order in the ledger has these ids.

    `digests` are the keyed digests of ids in history, by field; None for a field that is not set.
    """
    if tx.revisions(transaction_id) or tx.revisions(transaction_id, Kind.GOLDEN):
        return False
    columns: list[tuple[sa.Column[Any], str | int]] = [(PAYLOADS.c.user_id, user_id)]
    columns += [(column, value) for name, value in digests.items() for column in _ID_COLUMNS[name] if value is not None]
    return not any(
        tx.execute(sa.select(sa.literal(1)).where(column == value).limit(1)).first() for column, value in columns
    )


def record_origin(tx: LedgerTransaction, sequence: int, people: Iterable[int]) -> None:
    """Record of which people's orders the golden order of a decision is a copy."""
    for person in sorted(set(people)):
        tx.insert(GOLDEN_COPIES, {"sequence": sequence, "person": person})


def copies_of(person: int) -> sa.Select[tuple[int]]:
    """Select the decisions on golden orders that are copies of a person's orders."""
    return sa.select(GOLDEN_COPIES.c.sequence).where(GOLDEN_COPIES.c.person == person)


def delete_origins(tx: LedgerTransaction, sequences: Iterable[int]) -> None:
    """Delete the origins of copies that were erased."""
    tx.execute(GOLDEN_COPIES.delete().where(GOLDEN_COPIES.c.sequence.in_(list(sequences))))


def withdraw_golden(tx: LedgerTransaction, transaction_id: str) -> None:
    """Erase the golden order that has the id of an arriving order of the shop, and close its case.

    The two could not be distinguished by their id. The work of the golden order's reviewer still counts.
    """
    golden = tx.revisions(transaction_id, Kind.GOLDEN)
    if not golden:
        return
    sequences, now = [revision.sequence for revision in golden], tx.now
    tx.execute(PAYLOADS.delete().where(PAYLOADS.c.sequence.in_(sequences)))
    delete_origins(tx, sequences)
    own_cases = CASES.c.sequence.in_(sequences)
    tx.execute(CASES.update().where(own_cases).values(note="", expected_loss=0.0, urgency=CASES.c.opened_at))
    case_ids = sa.select(CASES.c.case_id).where(own_cases)
    tx.execute(CASE_EVENTS.update().where(CASE_EVENTS.c.case_id.in_(case_ids)).values(text=""))
    close_unresolved(tx, own_cases)
    facts = ErasureFacts(decision_ids=[revision.decision_id for revision in golden]).SerializeToString()
    tx.append(Kind.ERASURE, uuid.uuid4().hex, now, facts)
    tx.execute(request_removal())
    golden.clear()
