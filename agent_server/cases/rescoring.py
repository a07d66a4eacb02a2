"""Scores cases without a score once the scorer is available, and closes those that the policy then decides."""

import asyncio
import contextlib
import uuid
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.engine import Connection

from agent_server.cases.lifecycle import UNRESOLVED, attach_decision
from agent_server.cases.states import Event
from agent_server.cases.tables import CASES
from agent_server.database.clock import now
from agent_server.decisions.completion import counts_from_proto, with_completed
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger
from agent_server.ledger.queries import DECIDED, Query
from agent_server.ledger.recording import DecisionContext, HistoryPosition, append_decision
from agent_server.ledger.records import answer_of, order_of
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction
from agent_server.policies.current import CurrentPolicy
from agent_server.scoring.client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import Overloaded, Unavailable
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

AT_ONCE = 128
CALLER = "rescoring"
"""The caller of such revisions."""
SKIPPED = Counter("vouch_rescoring_skipped", "Unscored cases that were skipped since their record cannot be read")
_log = get_logger()


RESCORABLE = (
    CASES.c.reason == cases.CASE_REASON_UNSCORED, UNRESOLVED, CASES.c.legitimacy_score.is_(None),
    CASES.c.round == 1, sa.not_(CASES.c.held), CASES.c.golden == 0,
)  # fmt: skip
"""Conditions on a case: it was never scored, no person has judged its order, and one reviewer is enough."""


def unscored_cases(size: int, after: int = 0) -> Query[list[tuple[str, Any]]]:
    """Return a query for up to `size` cases to rescore after `after`, oldest first, each with the row of its decision.

    Blind reviews and cases that need two reviewers are left out: people decide those.
    """
    columns = DECIDED.add_columns(CASES.c.case_id, PAYLOADS.c.content_digest)
    joined = columns.join(CASES, CASES.c.sequence == ENTRIES.c.sequence)
    query = joined.where(CASES.c.sequence > after, *RESCORABLE).order_by(CASES.c.sequence).limit(size)

    def read(connection: Connection) -> list[tuple[str, Any]]:
        return [(row.case_id, row) for row in connection.execute(query)]

    return read


class Rescore:
    """Records the score of a case as a revision of its decision. Returns whether it did."""

    def __init__(self, case_id: str, row: Any, order: Transaction, answer: pb.ReviewResponse, digest: str) -> None:
        self.transaction_id = order.transaction_id
        self._case_id, self._row, self._order, self._answer, self._digest = case_id, row, order, answer, digest

    def __call__(self, tx: LedgerTransaction) -> bool:
        """Record it, unless the case changed meanwhile, a person decided the order, or the order was erased."""
        chosen = sa.select(CASES.c.status).join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence)
        same = chosen.where(CASES.c.case_id == self._case_id, CASES.c.sequence == self._row.sequence, *RESCORABLE)
        case, revisions = tx.execute(same).first(), tx.revisions(self.transaction_id)
        if case is None or revisions[-1].sequence != self._row.sequence or any(one.by_person for one in revisions):
            return False
        answer, latest = self._answer, revisions[-1]
        answer.revision, answer.replaces_decision_id = latest.revision + 1, latest.decision_id
        if case.status != cases.CASE_STATUS_OPEN and answer.decision != pb.DECISION_REVIEW:
            # A reviewer has claimed the case: show the score, and leave the decision to the reviewer.
            answer.decision, answer.decision_maker = pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED
            answer.ClearField("randomised_probability")  # the reviewer decides, not chance
        facts = DecisionFacts.FromString(self._row.facts)
        context = DecisionContext(CALLER, "", self._digest, HistoryPosition.of(facts))
        sequence = append_decision(tx, self._order, answer, self._row.content_digest, context)
        attach_decision(tx, self._case_id, Event.RESCORE, self._order, answer, sequence)
        return True


def make_rescore(policy: Policy, case_id: str, row: Any, prediction: PredictResponse) -> Rescore:
    """Decide the order of a case anew, given its score, and return the write that records it."""
    order, before = order_of(row), answer_of(row)
    at = now()
    counts = counts_from_proto(before.history_counts)
    answer, _ = decide(policy, _completed_order(row), prediction, at.ToMicroseconds(), counts=counts)
    answer.decision_id, answer.case_id = uuid.uuid4().hex, before.case_id
    answer.completed_fields.extend(before.completed_fields)
    answer.decided_at.CopyFrom(at)
    return Rescore(case_id, row, order, answer, policy.digest)


def _completed_order(row: Any) -> Transaction:
    """Return the order with the fields that history completed."""
    return with_completed(order_of(row), answer_of(row).completed_fields)


class Rescoring:
    """Scores the cases without a score, oldest first. It skips orders that the scorer refuses until the next start."""

    def __init__(self, ledger: Ledger, scoring: ScoringClient, current: CurrentPolicy) -> None:
        self._ledger, self._scoring, self._current = ledger, scoring, current
        self._after = 0

    async def run_once(self) -> int:
        """Score up to AT_ONCE cases; return how many were scored. Raises Unavailable."""
        waiting = await self._ledger.read_in_background(unscored_cases(AT_ONCE, self._after))
        if not waiting:
            return 0
        readable = [
            (case_id, row, order) for case_id, row in waiting if (order := _read_order(case_id, row)) is not None
        ]
        predictions = await self._scoring.predict_many([order for _, _, order in readable]) if readable else []
        policy = self._current.policy
        scored = [
            (case_id, row, prediction)
            for (case_id, row, _), prediction in zip(readable, predictions, strict=True)
            if prediction is not None
        ]
        done = sum(await asyncio.gather(*(self._rescore(policy, *one) for one in scored)))
        self._after = waiting[-1][1].sequence
        if len(scored) < len(readable):
            _log.warning("scorer refused orders of cases; they stay without a score", cases=len(readable) - len(scored))
        return done

    async def _rescore(self, policy: Policy, case_id: str, row: Any, prediction: PredictResponse) -> bool:
        """Record the score of a case; return False if not needed or if its record is damaged. Raises Unavailable."""
        try:
            return await self._ledger.write(make_rescore(policy, case_id, row, prediction))
        except Unavailable:
            raise
        except Exception as error:
            _skip(case_id, error)
            return False

    async def score_next(self) -> float | None:
        """Score a batch of cases if the scorer is available. Return 0 if the next batch should follow at once."""
        done = 0
        with contextlib.suppress(Unavailable, Overloaded):
            if await self._scoring.available():
                done = await self.run_once()
        if done:
            _log.info("cases scored", cases=done)
        return 0.0 if done >= AT_ONCE // 2 else None


def _read_order(case_id: str, row: Any) -> Transaction | None:
    """Return the order of a case for scoring; None if its record is damaged, so that other cases are not held up."""
    try:
        return _completed_order(row)
    except Exception as error:
        _skip(case_id, error)
        return None


def _skip(case_id: str, error: Exception) -> None:
    SKIPPED.inc()
    _log.error(
        "case stays without a score: its record cannot be read; run `vouch audit verify`", case=case_id,
        error=type(error).__name__, where=traceback_frames(error),
    )  # fmt: skip
