"""Golden orders beside those of the shop: neither takes the other's id, and a copy goes with the person it was made from."""

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
from generated.vouch.v1.ledger_entry_pb2 import ErasureFacts

_REMEMBERED: Final = {
    "user_id": (ATTEMPTS.c.user_id, FOLDED.c.user_id),
    "device_id": (ATTEMPTS.c.device_id, FOLDED_DEVICES.c.device_id),
    "card_id": (ATTEMPTS.c.card_id,),
}
"""Where memory has digests of ids."""


def is_unused(tx: LedgerTransaction, transaction_id: str, user_id: str, digests: Mapping[str, int | None]) -> bool:
    """Return whether no order in the ledger has these ids. `digests` are those of ids by their field, as memory has them."""
    if tx.revisions(transaction_id) or tx.revisions(transaction_id, Kind.GOLDEN):
        return False
    columns: list[tuple[sa.Column[Any], str | int]] = [(PAYLOADS.c.user_id, user_id)]
    columns += [(column, value) for name, value in digests.items() for column in _REMEMBERED[name] if value is not None]
    return not any(
        tx.execute(sa.select(sa.literal(1)).where(column == value).limit(1)).first() for column, value in columns
    )


def note_origin(tx: LedgerTransaction, sequence: int, people: Iterable[int]) -> None:
    """Note of whose orders the golden order of a decision is a copy."""
    for person in sorted(set(people)):
        tx.insert(GOLDEN_COPIES, {"sequence": sequence, "person": person})


def copies_of(person: int) -> sa.Select[tuple[int]]:
    """Select the decisions on golden orders that are copies of a person's orders."""
    return sa.select(GOLDEN_COPIES.c.sequence).where(GOLDEN_COPIES.c.person == person)


def forget_origins(tx: LedgerTransaction, sequences: Iterable[int]) -> None:
    """Drop the notes on copies that were erased."""
    tx.execute(GOLDEN_COPIES.delete().where(GOLDEN_COPIES.c.sequence.in_(list(sequences))))


def withdraw_golden(tx: LedgerTransaction, transaction_id: str) -> None:
    """Erase the golden order that has the id of an order of the shop that arrives now, and close its case.

    Both could not be told apart by their id. What its reviewer did counts on.
    """
    golden = tx.revisions(transaction_id, Kind.GOLDEN)
    if not golden:
        return
    sequences, now = [revision.sequence for revision in golden], tx.now
    tx.execute(PAYLOADS.delete().where(PAYLOADS.c.sequence.in_(sequences)))
    forget_origins(tx, sequences)
    on_it = CASES.c.sequence.in_(sequences)
    tx.execute(CASES.update().where(on_it).values(note="", expected_loss=0.0, urgency=CASES.c.opened_at))
    hanging = sa.select(CASES.c.case_id).where(on_it)
    tx.execute(CASE_EVENTS.update().where(CASE_EVENTS.c.case_id.in_(hanging)).values(text=""))
    close_unresolved(tx, on_it)
    facts = ErasureFacts(decision_ids=[revision.decision_id for revision in golden]).SerializeToString()
    tx.append(Kind.ERASURE, uuid.uuid4().hex, now, facts)
    tx.execute(request_removal())
    golden.clear()
