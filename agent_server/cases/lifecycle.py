"""Every change of a case's state, in the transaction that locks the head of the ledger. `states` says what is allowed.

Callers change a case only through this module: reviewers by way of `claims` and `verdicts`, the policy by way of
`recording` and `rescoring`, erasure by way of `close_unresolved`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from agent_server.cases.states import Event, State, next_state
from agent_server.cases.tables import CASE_CHANGES, CASE_EVENTS, CASES
from agent_server.decisions.urgency import DUE_SECONDS, due_at, expected_loss, urgency
from agent_server.decisions.valuation import recorded_amount
from agent_server.ledger.chain import Kind
from agent_server.ledger.records import microseconds
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import NotAvailable, NotFound
from runtime.rpc.call import new_id

OPENED_NUMBER = 1
"""Number of a case's first event, which is made from the case itself. Later ones are rows of CASE_EVENTS."""
NOT_YET, NEVER = 0, -1
"""`counts_from` of a verdict that is hidden, and of one that was hidden until a later decision took its place."""
_STATUS: Final[Mapping[State, int]] = {
    State.OPEN: cases.CASE_STATUS_OPEN,
    State.CLAIMED: cases.CASE_STATUS_CLAIMED,
    State.EXPIRED: cases.CASE_STATUS_CLAIMED,
    State.RESOLVED: cases.CASE_STATUS_RESOLVED,
}
_STATES: Final = {_STATUS[state]: state for state in (State.OPEN, State.CLAIMED, State.RESOLVED)}
UNRESOLVED = CASES.c.status.in_((cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED))
_NEW: Final[Mapping[str, Any]] = {
    "status": cases.CASE_STATUS_OPEN, "reviewer": "", "resolved_at": None, "verdict": 0, "note": "", "abuse_type": "",
    "reason_code": "", "claim_token": 0, "claimed_until": None, "claimed_at": None,
}  # fmt: skip
"""Columns of every case when it is opened."""


@dataclass(frozen=True)
class NewCase:
    """A case to open, and how long it may wait.

    `held` cases need two reviewers who agree. `golden` is the right verdict if the order is a golden one.
    """

    case_id: str
    reason: cases.CaseReason
    due_seconds: float = DUE_SECONDS
    held: bool = False
    golden: pb.Decision = pb.DECISION_UNSPECIFIED

    @property
    def kind(self) -> Kind:
        """The kind of the decision's entry in the ledger."""
        return Kind.GOLDEN if self.golden else Kind.DECISION


@dataclass(frozen=True)
class VerdictDetails:
    """What a reviewer writes with a verdict."""

    note: str = ""
    abuse_type: str = ""
    reason_code: str = ""


def read_case(tx: LedgerTransaction, case_id: str) -> Any:
    """Return the row of a case. Raises NotFound."""
    row = tx.execute(sa.select(CASES).where(CASES.c.case_id == case_id)).first()
    if row is None:
        raise no_such_case()
    return row


def state_of(case: Any, now: int) -> State:
    """Return the state of a case, given its row and the time in microseconds since 1970."""
    state = _STATES[case.status]
    return State.EXPIRED if state is State.CLAIMED and case.claimed_until <= now else state


def change_state(tx: LedgerTransaction, case: Any, event: Event, now: int, **values: Any) -> None:
    """Apply an event to a case and set other columns with it. Raises NotAvailable if the state does not allow it."""
    state = next_state(state_of(case, now), event)
    if state is None:
        raise not_available("case is claimed by another reviewer or resolved", case.status)
    chosen = CASES.update().where(CASES.c.case_id == case.case_id)
    tx.execute(chosen.values(status=_STATUS[state], **values))


def open_case(
    tx: LedgerTransaction, transaction: Transaction, answer: pb.ReviewResponse, sequence: int, new: NewCase
) -> None:
    """Open the case `answer.case_id` on the decision with a sequence number."""
    opened_at = microseconds(answer.decided_at)
    columns = _decision_columns(transaction, answer, sequence)
    row = {
        **_NEW, **columns, "case_id": answer.case_id, "opened_by": sequence, "opened_at": opened_at,
        "reason": new.reason, "held": new.held, "golden": int(new.golden), "round": 1, "review_of": "", "hidden_entry": None,
        "counts_from": None, "urgency": urgency(opened_at, columns["expected_loss"]),
        "due_at": due_at(opened_at, new.due_seconds),
    }  # fmt: skip
    tx.insert(CASES, row)
    add_change(tx, answer.case_id, cases.CASE_EVENT_KIND_OPENED)


def open_blind_review(tx: LedgerTransaction, case: Any, now: int, *, round_: int, hidden: int | None) -> None:
    """Open another review of a case's order: `case` is its row from before the verdict.

    `hidden` is the sequence number of the decision that no reviewer sees before this review is resolved. A blind review
    looks like any other case: it is as urgent, and due after the same time.
    """
    row = {
        **case._mapping, **_NEW, "case_id": new_id(), "opened_by": case.sequence, "opened_at": now, "round": round_,
        "review_of": case.review_of or case.case_id, "hidden_entry": hidden, "urgency": urgency(now, case.expected_loss),
        "due_at": now + case.due_at - case.opened_at, "counts_from": None if hidden is None else NOT_YET,
    }  # fmt: skip
    tx.insert(CASES, row)
    add_change(tx, row["case_id"], cases.CASE_EVENT_KIND_OPENED)


def attach_decision(
    tx: LedgerTransaction, case_id: str, event: Event, transaction: Transaction, answer: pb.ReviewResponse, sequence: int
) -> None:  # fmt: skip
    """Attach a case to a later decision on its order. Close it if that decision needs no person.

    `event` is REVISE or RESCORE. The state of the case has to allow it if the decision still needs a person.
    """
    case, now = read_case(tx, case_id), microseconds(answer.decided_at)
    columns = attached_columns(case, transaction, answer, sequence)
    if answer.decision == pb.DECISION_REVIEW:
        change_state(tx, case, event, now, **columns)
        add_change(tx, case_id, cases.CASE_EVENT_KIND_UPDATED)
    else:
        change_state(tx, case, Event.DECIDE, now, **columns, verdict=answer.decision, resolved_at=now)
        add_event(tx, case_id, now, cases.CASE_EVENT_KIND_CLOSED)


def resolve_case(
    tx: LedgerTransaction, case: Any, now: int, verdict: pb.Decision, details: VerdictDetails, **columns: Any
) -> None:
    """Resolve a claimed case with its reviewer's verdict. `columns` are those of a decision that it is attached to."""
    change_state(
        tx, case, Event.RESOLVE, now, verdict=verdict, resolved_at=now, claimed_until=None, note=details.note,
        abuse_type=details.abuse_type, reason_code=details.reason_code, **columns,
    )  # fmt: skip
    add_event(tx, case.case_id, now, cases.CASE_EVENT_KIND_RESOLVED, case.reviewer, details.note)


def close_unresolved(tx: LedgerTransaction, chosen: sa.ColumnElement[bool]) -> None:
    """Close those of the chosen cases that are unresolved, without a verdict: their orders were erased."""
    for case in tx.execute(sa.select(CASES).where(chosen, UNRESOLVED)).all():
        change_state(
            tx, case, Event.ERASE, tx.now, resolved_at=tx.now, claimed_until=None, claimed_at=None, reviewer=""
        )  # fmt: skip
        add_event(tx, case.case_id, tx.now, cases.CASE_EVENT_KIND_CLOSED)


def attached_columns(case: Any, transaction: Transaction, answer: pb.ReviewResponse, sequence: int) -> dict[str, Any]:
    """Return the columns that attach a case to a later decision on its order."""
    columns = _decision_columns(transaction, answer, sequence)
    return columns | {"urgency": urgency(case.opened_at, columns["expected_loss"])}


def _decision_columns(transaction: Transaction, answer: pb.ReviewResponse, sequence: int) -> dict[str, Any]:
    score = answer.legitimacy_score if answer.HasField("legitimacy_score") else None
    return {
        "sequence": sequence, "legitimacy_score": score, "recommendation": int(answer.agent_analysis.recommendation),
        "expected_loss": expected_loss(recorded_amount(transaction, answer), score),
    }  # fmt: skip


def no_such_case() -> NotFound:
    """Return the error for a case that does not exist."""
    return NotFound("there is no such case", reason=ErrorReason.ERROR_REASON_CASE_NOT_FOUND)


def not_available(message: str, status: int) -> NotAvailable:
    """Return the error for a case that cannot be worked on, with its status."""
    return NotAvailable(
        message, reason=ErrorReason.ERROR_REASON_CASE_NOT_AVAILABLE, status=cases.CaseStatus.Name(status)
    )


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
