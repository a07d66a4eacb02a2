"""The history of cases. That one was opened stands in the case itself: the first event is made of it, and those kept follow.

Everything that watchers are told of stands in the list of changes too.
"""

import sqlalchemy as sa

from agent_server.cases.tables import CASE_CHANGES, CASE_EVENTS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import case_service_pb2 as cases

OPENED_NUMBER = 1


def add_event(
    tx: LedgerTransaction, case_id: str, at: int, kind: cases.CaseEventKind, actor: str = "", text: str = ""
) -> int:
    """Add what happened to a case; its place in the history is returned."""
    latest = sa.select(sa.func.max(CASE_EVENTS.c.number)).where(CASE_EVENTS.c.case_id == case_id)
    number = int(tx.execute(latest).scalar() or OPENED_NUMBER) + 1
    row = {"case_id": case_id, "number": number, "at": at, "kind": int(kind), "actor": actor, "text": text}
    tx.insert(CASE_EVENTS, row)
    add_change(tx, case_id, kind)
    return number


def add_change(tx: LedgerTransaction, case_id: str, kind: cases.CaseEventKind) -> None:
    """Let watchers know what happened to a case."""
    tx.insert(CASE_CHANGES, {"case_id": case_id, "kind": int(kind)})
