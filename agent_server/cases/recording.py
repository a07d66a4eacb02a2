"""Recording a decision: once for the same content, as a new revision for other content, with the case that it needs."""

from typing import Any

import sqlalchemy as sa

from agent_server.cases.golden_copies import withdraw_golden
from agent_server.cases.lifecycle import NewCase, attach_decision, open_case
from agent_server.cases.states import Event
from agent_server.cases.tables import CASES
from agent_server.ledger.chain import Kind
from agent_server.ledger.recording import DecisionContext, RecordedDecision, append_decision, find_recorded
from agent_server.ledger.records import content_digest
from agent_server.ledger.transaction import LedgerTransaction, Revision
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.transaction_pb2 import Transaction


class RecordDecision:
    """Records a decision with its order. `answer` has no revision yet; `new_case` opens if a person has to decide."""

    def __init__(
        self, transaction: Transaction, answer: pb.ReviewResponse, context: DecisionContext, new_case: NewCase,
        digest: bytes = b"",
    ) -> None:  # fmt: skip
        """`digest` is the order's `content_digest`, if known."""
        self.transaction_id = transaction.transaction_id
        self._transaction, self._answer = transaction, answer
        self._digest = digest or content_digest(transaction)
        self._context, self._new_case = context, new_case

    @property
    def attempt(self) -> int | None:
        """The number of the order's attempt in history, 0 for none; None for a golden order, which is no new order."""
        return self._context.position.number if self._new_case.kind is Kind.DECISION else None

    def __call__(self, tx: LedgerTransaction) -> RecordedDecision:
        """Record it, or return what was recorded for the same content."""
        kind = self._new_case.kind
        recorded = find_recorded(tx, self.transaction_id, self._digest, kind)
        if recorded is not None:
            return recorded
        if kind is Kind.DECISION:
            withdraw_golden(tx, self.transaction_id)
        revisions = tx.revisions(self.transaction_id, kind)
        answer = self._answer
        answer.revision = revisions[-1].revision + 1 if revisions else 1
        answer.replaces_decision_id = revisions[-1].decision_id if revisions else ""
        open_id = _open_case_of(tx, revisions)
        if answer.decision == pb.DECISION_REVIEW:
            answer.case_id = open_id or self._new_case.case_id
        sequence = append_decision(tx, self._transaction, answer, self._digest, self._context, kind=kind)
        if open_id:
            attach_decision(tx, open_id, Event.REVISE, self._transaction, answer, sequence)
        elif answer.decision == pb.DECISION_REVIEW:
            open_case(tx, self._transaction, answer, sequence, self._new_case)
        return RecordedDecision(answer)


def _open_case_of(tx: LedgerTransaction, revisions: list[Revision]) -> str:
    """Return the case of the decision that is replaced, if it is open; empty for none.

    Blind reviews do not count: they check an earlier verdict, not later content.
    """
    if not revisions:
        return ""
    chosen: sa.Select[Any] = sa.select(CASES.c.case_id).where(
        CASES.c.sequence == revisions[-1].sequence, CASES.c.status == cases.CASE_STATUS_OPEN, CASES.c.round == 1
    )
    return str(tx.execute(chosen).scalar() or "")
