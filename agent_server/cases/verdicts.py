"""Verdicts: what a reviewer decides is a revision of the decision, in the same chain as all others.

A share of the orders is reviewed twice, blindly. The first verdict stands at once; where the second reviewer disagrees, a third
one decides. A held case needs two reviewers who agree: its order waits until they do, or for the third. `states.after_verdict`
is the table of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from agent_server.cases.claims import Claimed, Reviewer, erased, held
from agent_server.cases.lifecycle import (
    NEVER,
    NOT_YET,
    VerdictDetails,
    columns_of_verdict,
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

_WORDS = {pb.DECISION_APPROVE: "approved", pb.DECISION_DENY: "denied"}


@dataclass(frozen=True)
class Verdict:
    """What a reviewer decides on a case, by a claim."""

    claimed: Claimed
    decision: pb.Decision
    details: VerdictDetails = field(default_factory=VerdictDetails)


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
        after = self._first(tx, case, row) if case.round == 1 else self._later(tx, case, row)
        self._apply(tx, case, row, after)

    def _first(self, tx: LedgerTransaction, case: Any, row: Any) -> AfterVerdict:
        by = self._reviewer
        drawn = not case.held and not case.golden and bool(by.name) and self._draws() and _others_review(tx, by.name)
        return after_verdict(1, held=case.held, drawn=drawn)

    def _later(self, tx: LedgerTransaction, case: Any, row: Any) -> AfterVerdict:
        chosen = sa.select(CASES.c.verdict).where(CASES.c.case_id == case.review_of)
        agrees = self._verdict.decision == tx.execute(chosen).scalar_one()
        return after_verdict(case.round, held=case.held, agrees=agrees)

    def _apply(self, tx: LedgerTransaction, case: Any, row: Any, after: AfterVerdict) -> None:
        now, hidden = self._reviewer.now(tx), case.hidden_entry
        if after.reveals and hidden is not None:
            reveal_verdict(tx, hidden)
        if after.is_decision and (case.round == 1 or self._is_latest(tx, case, row)):
            sequence = self._decide(tx, case, row, hidden=after.hides)
            hidden = sequence if after.hides else hidden
        else:
            resolve_case(tx, case, now, self._verdict.decision, self._verdict.details)
        if after.next_round:
            open_blind_review(tx, case, now, round_=after.next_round, hidden=hidden)

    def _is_latest(self, tx: LedgerTransaction, case: Any, row: Any) -> bool:
        """Whether nothing came after what is judged: an order that came again with other content was decided anew."""
        judged: int = case.hidden_entry or case.sequence
        return tx.revisions(row.transaction_id, Kind(row.kind))[-1].sequence == judged

    def _decide(self, tx: LedgerTransaction, case: Any, row: Any, *, hidden: bool = False) -> int:
        """The verdict as a revision of the order's decision; its sequence number. `hidden` as in `append_decision`."""
        by, verdict, details = self._reviewer, self._verdict.decision, self._verdict.details
        order, answer = order_of(row), answer_of(row)
        kind = Kind(row.kind)
        latest = tx.revisions(order.transaction_id, kind)[-1]
        answer.decision, answer.decision_maker = verdict, pb.DECISION_MAKER_HUMAN
        code = f" ({details.reason_code})" if details.reason_code else ""
        answer.reasoning = f"A reviewer {_WORDS[verdict]} the order{code}."
        answer.decision_id = new_id()
        answer.decided_at.CopyFrom(timestamp(by.now(tx)))
        answer.revision, answer.replaces_decision_id = latest.revision + 1, latest.decision_id
        facts = DecisionFacts.FromString(row.facts)
        asked = DecisionContext(
            by.name, self._request_id, facts.policy_digest, HistoryPosition(facts.memory_number, facts.memory_read)
        )
        sequence = append_decision(tx, order, answer, row.content_digest, asked, kind, hidden=hidden)
        columns = columns_of_verdict(case, order, answer, sequence)
        resolve_case(tx, case, microseconds(answer.decided_at), verdict, details, **columns)
        return sequence


def reveal_verdict(tx: LedgerTransaction, sequence: int) -> None:
    """Let a hidden verdict count in history from now on, as if it was decided now.

    It never counts where the order was decided anew meanwhile, since its attempt is now that of the later content. Does nothing
    where the verdict counts already.
    """
    row = tx.execute(DECIDED.add_columns(PAYLOADS.c.memory_number).where(PAYLOADS.c.sequence == sequence)).first()
    is_latest = row is not None and tx.revisions(row.transaction_id, Kind(row.kind))[-1].sequence == sequence
    hidden = sa.and_(CASES.c.hidden_entry == sequence, CASES.c.counts_from == NOT_YET)
    counts_from = tx.attempts if is_latest else NEVER
    if not tx.execute(CASES.update().where(hidden).values(counts_from=counts_from)).rowcount:
        return
    if row is not None and is_latest and row.memory_number is not None:
        denied = answer_of(row).decision == pb.DECISION_DENY
        attempts.decide(tx, order_of(row), row.memory_number, denied=denied, again=True)


def _others_review(tx: LedgerTransaction, name: str) -> bool:
    """Return whether anybody but `name` has ever worked on a case: otherwise nobody could do a blind review."""
    chosen = sa.select(CASES.c.case_id).where(CASES.c.reviewer.not_in(("", name))).limit(1)
    return tx.execute(chosen).first() is not None
