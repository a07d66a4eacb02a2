"""The history of cases. That one was opened stands in the case itself: the first event is made of it, and those kept follow.

Everything that watchers are told of stands in the list of changes too.
"""

import sqlalchemy as sa

from agent_server.ledger.group import Group
from agent_server.ledger.schema import CASE_CHANGES, CASE_EVENTS
from generated.vouch.v1 import case_service_pb2 as cases

OPENED_NUMBER = 1


def add_event(group: Group, case_id: str, at: int, kind: cases.CaseEventKind, actor: str = "", text: str = "") -> int:
    """Add what happened to a case; its place in the history is returned."""
    latest = sa.select(sa.func.max(CASE_EVENTS.c.number)).where(CASE_EVENTS.c.case_id == case_id)
    number = int(group.execute(latest).scalar() or OPENED_NUMBER) + 1
    row = {"case_id": case_id, "number": number, "at": at, "kind": int(kind), "actor": actor, "text": text}
    group.insert(CASE_EVENTS, row)
    add_change(group, case_id, kind)
    return number


def add_change(group: Group, case_id: str, kind: cases.CaseEventKind) -> None:
    """Let watchers know what happened to a case."""
    group.insert(CASE_CHANGES, {"case_id": case_id, "kind": int(kind)})
