"""The history of cases."""

import sqlalchemy as sa

from agent_server.ledger.group import Group
from agent_server.ledger.schema import CASE_EVENTS
from generated.vouch.v1 import case_service_pb2 as cases


def add_event(
    group: Group, case_id: str, at: int, kind: cases.CaseEventKind, actor: str = "", text: str = "", number: int = 0
) -> int:
    """Add what happened to a case; its place in the history is returned. `number` spares looking for the place."""
    if not number:
        latest = sa.select(sa.func.max(CASE_EVENTS.c.number)).where(CASE_EVENTS.c.case_id == case_id)
        number = (group.execute(latest).scalar() or 0) + 1
    row = {"case_id": case_id, "number": number, "at": at, "kind": int(kind), "actor": actor, "text": text}
    group.insert(CASE_EVENTS, row)
    return number
