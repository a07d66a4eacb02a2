"""Golden orders beside those of the shop: neither takes the other's id, and a copy goes with the person it was made from."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from agent_server.ledger.case_events import add_event
from agent_server.ledger.chain import Kind
from agent_server.ledger.group import Group
from agent_server.ledger.removal import request_removal
from agent_server.ledger.schema import ATTEMPTS, CASE_EVENTS, CASES, FOLDED, FOLDED_DEVICES, GOLDEN_COPIES, PAYLOADS
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import ErasureFacts

_REMEMBERED: Final = {
    "user_id": (ATTEMPTS.c.user_id, FOLDED.c.user_id),
    "device_id": (ATTEMPTS.c.device_id, FOLDED_DEVICES.c.device_id),
    "card_id": (ATTEMPTS.c.card_id,),
}
"""Where memory has digests of ids."""


def is_unused(group: Group, transaction_id: str, user_id: str, digests: Mapping[str, int | None]) -> bool:
    """Return whether no order in the ledger has these ids. `digests` are those of ids by their field, as memory has them."""
    if group.revisions(transaction_id) or group.revisions(transaction_id, Kind.GOLDEN):
        return False
    columns: list[tuple[sa.Column[Any], str | int]] = [(PAYLOADS.c.user_id, user_id)]
    columns += [(column, value) for name, value in digests.items() for column in _REMEMBERED[name] if value is not None]
    return not any(
        group.execute(sa.select(sa.literal(1)).where(column == value).limit(1)).first() for column, value in columns
    )


def note_origin(group: Group, sequence: int, people: Iterable[int]) -> None:
    """Note of whose orders the golden order of a decision is a copy."""
    for person in sorted(set(people)):
        group.insert(GOLDEN_COPIES, {"sequence": sequence, "person": person})


def copies_of(person: int) -> sa.Select[tuple[int]]:
    """Select the decisions on golden orders that are copies of a person's orders."""
    return sa.select(GOLDEN_COPIES.c.sequence).where(GOLDEN_COPIES.c.person == person)


def forget_origins(group: Group, sequences: Iterable[int]) -> None:
    """Drop the notes on copies that were erased."""
    group.execute(GOLDEN_COPIES.delete().where(GOLDEN_COPIES.c.sequence.in_(list(sequences))))


def withdraw_golden(group: Group, transaction_id: str) -> None:
    """Erase the golden order that has the id of an order of the shop that arrives now, and close its case.

    Both could not be told apart by their id. What its reviewer did counts on.
    """
    golden = group.revisions(transaction_id, Kind.GOLDEN)
    if not golden:
        return
    sequences, now = [revision.sequence for revision in golden], group.now
    group.execute(PAYLOADS.delete().where(PAYLOADS.c.sequence.in_(sequences)))
    forget_origins(group, sequences)
    on_it = CASES.c.sequence.in_(sequences)
    group.execute(CASES.update().where(on_it).values(note="", expected_loss=0.0, urgency=CASES.c.opened_at))
    hanging = sa.select(CASES.c.case_id).where(on_it)
    group.execute(CASE_EVENTS.update().where(CASE_EVENTS.c.case_id.in_(hanging)).values(text=""))
    unresolved = sa.select(CASES.c.case_id).where(on_it, CASES.c.status != cases.CASE_STATUS_RESOLVED)
    for case_id in group.execute(unresolved).scalars().all():
        closed = {"status": cases.CASE_STATUS_RESOLVED, "resolved_at": now, "claimed_until": None, "claimed_at": None}
        group.execute(CASES.update().where(CASES.c.case_id == case_id).values(closed | {"reviewer": ""}))
        add_event(group, case_id, now, cases.CASE_EVENT_KIND_CLOSED)
    facts = ErasureFacts(decision_ids=[revision.decision_id for revision in golden]).SerializeToString()
    group.append(Kind.ERASURE, uuid.uuid4().hex, now, facts)
    group.execute(request_removal())
    golden.clear()
