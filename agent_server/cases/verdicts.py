"""Verdicts: a reviewer's decision is a revision of the recorded decision, in the same chain as all others.

A share of the orders gets a blind review. The first verdict takes effect at once; if the second reviewer disagrees, a
third one decides. A held case needs two reviewers who agree: its order waits for them, or for the third.
`states.after_verdict` is the table of these rules.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from agent_server.cases.claims import CaseClaim, Reviewer, order_erased, read_claimed_case
from agent_server.cases.lifecycle import (
    NEVER,
    NOT_YET,
    VerdictDetails,
    attached_columns,
    open_blind_review,
    resolve_case,
)  # fmt: skip
from agent_server.cases.states import AfterVerdict, after_verdict
from agent_server.cases.tables import CASES
from agent_server.ledger import attempts
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.recording import DecisionContext, HistoryPosition, append_decision
from agent_server.ledger.records import answer_of, microseconds, order_of, timestamp
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from runtime.rpc.call import Call, new_id

_VERBS = {pb.DECISION_APPROVE: "approved", pb.DECISION_DENY: "denied"}


@dataclass(frozen=True)
class Verdict:
    """A reviewer's decision on a claimed case."""

    claimed: CaseClaim
    decision: pb.Decision
    details: VerdictDetails = field(default_factory=VerdictDetails)


class Resolve:
    """Resolves a case with a verdict. It needs the claim; a second verdict finds the case resolved.

    `draws` returns whether an order gets a blind review, if there is another reviewer to do it.
    """

    def __init__(
        self, reviewer: Reviewer, verdict: Verdict, call: Call, draws: Callable[[], bool] = lambda: False
    ) -> None:
        self._reviewer, self._verdict = reviewer, verdict
        self._request_id, self._draws = call.request_id, draws

    def __call__(self, tx: LedgerTransaction) -> None:
        """Record the verdict. Raises NotFound, or NotAvailable if the caller has no claim or the order was erased."""
        case = read_claimed_case(tx, self._verdict.claimed, self._reviewer)
        row = tx.execute(
            DECIDED.add_columns(PAYLOADS.c.content_digest).where(ENTRIES.c.sequence == case.sequence)
        ).first()
        if row is None:
            raise order_erased(case)
        after = self._first_verdict(tx, case) if case.round == 1 else self._later_verdict(tx, case)
        self._apply(tx, case, row, after)

    def _first_verdict(self, tx: LedgerTransaction, case: Any) -> AfterVerdict:
        by = self._reviewer
        drawn = (
            not case.held and not case.golden and bool(by.name) and self._draws() and _has_other_reviewers(tx, by.name)
        )
        return after_verdict(1, held=case.held, drawn=drawn)

    def _later_verdict(self, tx: LedgerTransaction, case: Any) -> AfterVerdict:
        chosen = sa.select(CASES.c.verdict).where(CASES.c.case_id == case.review_of)
        agrees = self._verdict.decision == tx.execute(chosen).scalar_one()
        return after_verdict(case.round, held=case.held, agrees=agrees)

    def _apply(self, tx: LedgerTransaction, case: Any, row: Any, after: AfterVerdict) -> None:
        now, hidden = self._reviewer.now(tx), case.hidden_entry
        if after.reveals and hidden is not None:
            reveal_verdict(tx, hidden)
        if after.is_decision and (case.round == 1 or self._is_latest(tx, case, row)):
            sequence = self._append_verdict(tx, case, row, hidden=after.hides)
            hidden = sequence if after.hides else hidden
        else:
            resolve_case(tx, case, now, self._verdict.decision, self._verdict.details)
        if after.next_round:
            open_blind_review(tx, case, now, round_=after.next_round, hidden=hidden)

    def _is_latest(self, tx: LedgerTransaction, case: Any, row: Any) -> bool:
        """Return whether no decision followed the judged one, as it does if the order arrived with other content."""
        judged: int = case.hidden_entry or case.sequence
        return tx.revisions(row.transaction_id, Kind(row.kind))[-1].sequence == judged

    def _append_verdict(self, tx: LedgerTransaction, case: Any, row: Any, *, hidden: bool = False) -> int:
        """Append the verdict as a revision of the decision; return its sequence number. `hidden` is as in
        `append_decision`.
        """
        by, verdict, details = self._reviewer, self._verdict.decision, self._verdict.details
        order, answer = order_of(row), answer_of(row)
        kind = Kind(row.kind)
        latest = tx.revisions(order.transaction_id, kind)[-1]
        answer.decision, answer.decision_maker = verdict, pb.DECISION_MAKER_HUMAN
        code = f" ({details.reason_code})" if details.reason_code else ""
        answer.reasoning = f"A reviewer {_VERBS[verdict]} the order{code}."
        answer.decision_id = new_id()
        answer.decided_at.CopyFrom(timestamp(by.now(tx)))
        answer.revision, answer.replaces_decision_id = latest.revision + 1, latest.decision_id
        facts = DecisionFacts.FromString(row.facts)
        context = DecisionContext(by.name, self._request_id, facts.policy_digest, HistoryPosition.of(facts))
        sequence = append_decision(tx, order, answer, row.content_digest, context, kind, hidden=hidden)
        columns = attached_columns(case, order, answer, sequence)
        resolve_case(tx, case, microseconds(answer.decided_at), verdict, details, **columns)
        return sequence


def reveal_verdict(tx: LedgerTransaction, sequence: int) -> None:
    """Let a hidden verdict count in history from now on, as if it had been given now.

    It never counts if the order was decided anew meanwhile, since the order's attempt is now that of the later content.
    Does nothing if the verdict counts already.
    """
    row = tx.execute(DECIDED.add_columns(PAYLOADS.c.memory_number).where(PAYLOADS.c.sequence == sequence)).first()
    is_latest = row is not None and tx.revisions(row.transaction_id, Kind(row.kind))[-1].sequence == sequence
    hidden = sa.and_(CASES.c.hidden_entry == sequence, CASES.c.counts_from == NOT_YET)
    counts_from = tx.history.attempts if is_latest else NEVER
    if not tx.execute(CASES.update().where(hidden).values(counts_from=counts_from)).rowcount:
        return
    if row is not None and is_latest and row.memory_number is not None:
        denied = answer_of(row).decision == pb.DECISION_DENY
        attempts.apply_decision(tx, order_of(row), row.memory_number, denied=denied, again=True)


def _has_other_reviewers(tx: LedgerTransaction, name: str) -> bool:
    """Return whether anyone but `name` has ever worked on a case: otherwise there is nobody for a blind review."""
    chosen = sa.select(CASES.c.case_id).where(CASES.c.reviewer.not_in(("", name))).limit(1)
    return tx.execute(chosen).first() is not None
