"""Second and third looks: cases of their own, about an order that somebody has judged."""

from typing import Any

import sqlalchemy as sa

from agent_server.cases.events import add_change
from agent_server.decisions.urgency import urgency
from agent_server.ledger.recording import NOT_YET
from agent_server.ledger.schema import CASES
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.rpc.call import new_id


def open_blind_review(tx: LedgerTransaction, case: Any, now: int, *, round_: int, hidden: int | None) -> str:
    """Open another look at what a case was about, before its verdict: `case` is its row from then. The new case's id.

    `hidden` is the entry that nobody who reviews sees before it is resolved. It looks like any case, as urgent and as long due.
    """
    case_id = new_id()
    row: dict[str, Any] = dict(case._mapping) | {
        "case_id": case_id, "opened_by": case.sequence, "opened_at": now, "status": cases.CASE_STATUS_OPEN, "reviewer": "",
        "resolved_at": None, "verdict": 0, "note": "", "abuse_type": "", "reason_code": "", "claim_token": 0,
        "claimed_until": None, "claimed_at": None, "round": round_, "review_of": case.review_of or case.case_id,
        "hidden_entry": hidden, "urgency": urgency(now, case.expected_loss), "due_at": now + case.due_at - case.opened_at,
        "counts_from": None if hidden is None else NOT_YET,
    }  # fmt: skip
    tx.insert(CASES, row)
    add_change(tx, case_id, cases.CASE_EVENT_KIND_OPENED)
    return case_id


def others_can_review(tx: LedgerTransaction, name: str) -> bool:
    """Whether anybody but `name` has ever worked on a case: else nobody could take a second look."""
    chosen = sa.select(CASES.c.case_id).where(CASES.c.reviewer.not_in(("", name))).limit(1)
    return tx.execute(chosen).first() is not None
