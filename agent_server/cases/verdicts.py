"""Verdicts: what a reviewer decides is a revision of the decision, in the same chain as all others.

A share of the orders is judged twice, blindly. The first verdict stands at once; where a second reviewer disagrees, a third
look decides. A case that is held needs two who agree: its order waits until they do, or until the third look.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from agent_server.cases.blind_reviews import open_blind_review, others_can_review
from agent_server.cases.claims import Claimed, Reviewer, erased, held
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.recording import (
    DecisionContext,
    HistoryPosition,
    VerdictDetails,
    append_decision,
    end_case,
    move_case,
    show_verdict,
)
from agent_server.ledger.records import answer_of, order_of, timestamp
from agent_server.ledger.schema import CASES, ENTRIES, PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from runtime.rpc.call import Call, new_id

_WORDS = {pb.DECISION_APPROVE: "approved", pb.DECISION_DENY: "denied"}
_RESOLVED = cases.CASE_EVENT_KIND_RESOLVED


@dataclass(frozen=True)
class Verdict:
    """What a reviewer decides on a case, by a claim."""

    claimed: Claimed
    decision: pb.Decision
    said: VerdictDetails = field(default_factory=VerdictDetails)


class Resolve:
    """Resolves a case with a verdict. Needs the claim, once: a second one finds the case resolved.

    `draws` says whether an order is judged a second time, if somebody else is there to do so.
    """

    def __init__(
        self, reviewer: Reviewer, verdict: Verdict, call: Call, draws: Callable[[], bool] = lambda: False
    ) -> None:
        self._reviewer, self._verdict = reviewer, verdict
        self._request_id, self._draws = call.request_id, draws

    def __call__(self, tx: LedgerTransaction) -> None:
        """Keep the verdict. Raises NotFound, or NotAvailable where the claim is not the caller's or the person was erased."""
        case = held(tx, self._verdict.claimed, self._reviewer)
        row = tx.execute(
            DECIDED.add_columns(PAYLOADS.c.content_digest).where(ENTRIES.c.sequence == case.sequence)
        ).first()
        if row is None:
            raise erased(case)
        if case.round == 1:
            self._first(tx, case, row)
        else:
            self._later(tx, case, row)

    def _first(self, tx: LedgerTransaction, case: Any, row: Any) -> None:
        by = self._reviewer
        if case.held:
            self._end(tx, case)
            open_blind_review(tx, case, by.now(tx), round_=2, hidden=None)
            return
        drawn = not case.golden and bool(by.name) and self._draws() and others_can_review(tx, by.name)
        verdict = self._decide(tx, case, row, hidden=drawn)
        if drawn:
            open_blind_review(tx, case, by.now(tx), round_=2, hidden=verdict)

    def _later(self, tx: LedgerTransaction, case: Any, row: Any) -> None:
        chosen = sa.select(CASES.c.verdict).where(CASES.c.case_id == case.review_of)
        first = tx.execute(chosen).scalar_one()
        agrees = self._verdict.decision == first
        if case.round == 2 and not agrees:
            self._end(tx, case)
            open_blind_review(tx, case, self._reviewer.now(tx), round_=3, hidden=case.hidden_entry)
            return
        if case.hidden_entry is not None:
            show_verdict(tx, case.hidden_entry)
        if self._changes(agrees, case) and self._is_latest(tx, case, row):
            self._decide(tx, case, row)
        else:
            self._end(tx, case)

    def _changes(self, agrees: bool, case: Any) -> bool:
        """Whether the order's decision is another one by this verdict."""
        return bool(case.held) or not agrees

    def _is_latest(self, tx: LedgerTransaction, case: Any, row: Any) -> bool:
        """Whether nothing came after what is judged: an order that came again with other content was decided anew."""
        judged: int = case.hidden_entry or case.sequence
        return tx.revisions(row.transaction_id, Kind(row.kind))[-1].sequence == judged

    def _end(self, tx: LedgerTransaction, case: Any) -> None:
        by, verdict = self._reviewer, self._verdict
        end_case(tx, case.case_id, by.now(tx), verdict.decision, _RESOLVED, by.name, verdict.said)

    def _decide(self, tx: LedgerTransaction, case: Any, row: Any, *, hidden: bool = False) -> int:
        """The verdict as a revision of the order's decision; its sequence number. `hidden` as in `append_decision`."""
        by, verdict, said = self._reviewer, self._verdict.decision, self._verdict.said
        order, answer = order_of(row), answer_of(row)
        kind = Kind(row.kind)
        latest = tx.revisions(order.transaction_id, kind)[-1]
        answer.decision, answer.decision_maker = verdict, pb.DECISION_MAKER_HUMAN
        code = f" ({said.reason_code})" if said.reason_code else ""
        answer.reasoning = f"A reviewer {_WORDS[verdict]} the order{code}."
        answer.decision_id = new_id()
        answer.decided_at.CopyFrom(timestamp(by.now(tx)))
        answer.revision, answer.replaces_decision_id = latest.revision + 1, latest.decision_id
        facts = DecisionFacts.FromString(row.facts)
        asked = DecisionContext(
            by.name, self._request_id, facts.policy_digest, HistoryPosition(facts.memory_number, facts.memory_read)
        )
        sequence = append_decision(tx, order, answer, row.content_digest, asked, kind, hidden=hidden)
        move_case(tx, case.case_id, order, answer, sequence, by=by.name, said=said)
        return sequence
