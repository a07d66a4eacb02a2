"""The history of a case, and the list of changes that watchers read.

The first event, that a case was opened, is made from the case itself. Later events are rows of CASE_EVENTS. Each of
them, and each change that is no event, is a row of CASE_CHANGES too.
"""

import sqlalchemy as sa

from agent_server.cases.tables import CASE_CHANGES, CASE_EVENTS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import case_service_pb2 as cases

OPENED_NUMBER = 1


def add_event(
    tx: LedgerTransaction, case_id: str, at: int, kind: cases.CaseEventKind, actor: str = "", text: str = ""
) -> int:
    """Add an event to a case's history; return its number there."""
    latest = sa.select(sa.func.max(CASE_EVENTS.c.number)).where(CASE_EVENTS.c.case_id == case_id)
    number = int(tx.execute(latest).scalar() or OPENED_NUMBER) + 1
    row = {"case_id": case_id, "number": number, "at": at, "kind": int(kind), "actor": actor, "text": text}
    tx.insert(CASE_EVENTS, row)
    add_change(tx, case_id, kind)
    return number


def add_change(tx: LedgerTransaction, case_id: str, kind: cases.CaseEventKind) -> None:
    """Add a change to the list that watchers read."""
    tx.insert(CASE_CHANGES, {"case_id": case_id, "kind": int(kind)})
