"""Cases that were opened without a score are scored once the scorer is back; those that policy now decides are closed."""

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
from agent_server.decisions.completion import from_proto, with_completed
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
MAKER = "rescoring"
"""The caller of such revisions: no API key has a name with a colon or a space, nor is this one needed."""
SKIPPED = Counter("vouch_rescoring_skipped", "Unscored cases that were skipped since their record cannot be read")
_log = get_logger()


MAY_BE_RESCORED = (
    CASES.c.reason == cases.CASE_REASON_UNSCORED, UNRESOLVED, CASES.c.legitimacy_score.is_(None),
    CASES.c.round == 1, sa.not_(CASES.c.held), CASES.c.golden == 0,
)  # fmt: skip
"""Of a case: nobody has judged its order, one person may, and it was never scored."""


def unscored_cases(size: int, after: int = 0) -> Query[list[tuple[str, Any]]]:
    """Cases without a score that nobody has judged, each with the row of its decision: those behind `after`, oldest first.

    No second or third looks, and none that needs two people: what these are about, people decide.
    """
    columns = DECIDED.add_columns(CASES.c.case_id, PAYLOADS.c.content_digest)
    joined = columns.join(CASES, CASES.c.sequence == ENTRIES.c.sequence)
    query = joined.where(CASES.c.sequence > after, *MAY_BE_RESCORED).order_by(CASES.c.sequence).limit(size)

    def read(connection: Connection) -> list[tuple[str, Any]]:
        return [(row.case_id, row) for row in connection.execute(query)]

    return read


class Rescore:
    """Keeps the score of a case as a revision of its decision, unless somebody was faster. Gives whether it did."""

    def __init__(self, case_id: str, row: Any, order: Transaction, answer: pb.ReviewResponse, digest: str) -> None:
        self.transaction_id = order.transaction_id
        self._case_id, self._row, self._order, self._answer, self._digest = case_id, row, order, answer, digest

    def __call__(self, tx: LedgerTransaction) -> bool:
        """Keep it, unless the case is another one by now, or a person decided the order, or it was erased."""
        chosen = sa.select(CASES.c.status).join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence)
        same = chosen.where(CASES.c.case_id == self._case_id, CASES.c.sequence == self._row.sequence, *MAY_BE_RESCORED)
        case, revisions = tx.execute(same).first(), tx.revisions(self.transaction_id)
        if case is None or revisions[-1].sequence != self._row.sequence or any(one.by_person for one in revisions):
            return False
        answer, latest = self._answer, revisions[-1]
        answer.revision, answer.replaces_decision_id = latest.revision + 1, latest.decision_id
        if case.status != cases.CASE_STATUS_OPEN and answer.decision != pb.DECISION_REVIEW:
            # A person has the case: the score is shown, the decision is theirs.
            answer.decision, answer.decision_maker = pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED
            answer.ClearField("randomised_probability")  # it is a person who lets it through, or not
        facts = DecisionFacts.FromString(self._row.facts)
        asked = DecisionContext(MAKER, "", self._digest, HistoryPosition(facts.memory_number, facts.memory_read))
        sequence = append_decision(tx, self._order, answer, self._row.content_digest, asked)
        attach_decision(tx, self._case_id, Event.RESCORE, self._order, answer, sequence)
        return True


def rescored(policy: Policy, case_id: str, row: Any, prediction: PredictResponse) -> Rescore:
    """The revision of a case's decision, now that there is a score."""
    order, before = order_of(row), answer_of(row)
    at = now()
    answer, _ = decide(policy, _whole(row), prediction, at.ToMicroseconds())
    answer.decision_id, answer.case_id = uuid.uuid4().hex, before.case_id
    answer.completed_fields.extend(before.completed_fields)
    answer.decided_at.CopyFrom(at)
    return Rescore(case_id, row, order, answer, policy.digest)


def _whole(row: Any) -> Transaction:
    """The order with what memory had filled in."""
    return with_completed(order_of(row), from_proto(answer_of(row).completed_fields))


class Rescoring:
    """Goes through the cases without a score, oldest first; past those whose order the scorer refuses, until the next start."""

    def __init__(self, ledger: Ledger, scoring: ScoringClient, current: CurrentPolicy) -> None:
        self._ledger, self._scoring, self._current = ledger, scoring, current
        self._after = 0

    async def run_once(self) -> int:
        """Score up to AT_ONCE cases; how many were. Raises Unavailable."""
        waiting = await self._ledger.read_in_background(unscored_cases(AT_ONCE, self._after))
        if not waiting:
            return 0
        readable = [(case_id, row, order) for case_id, row in waiting if (order := _readable(case_id, row)) is not None]
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
            _log.warning(
                "the scorer refuses orders of cases: they stay without a score", cases=len(readable) - len(scored)
            )
        return done

    async def _rescore(self, policy: Policy, case_id: str, row: Any, prediction: PredictResponse) -> bool:
        """Record the score of a case; False where that was not needed, or its record is damaged. Raises Unavailable."""
        try:
            return await self._ledger.write(rescored(policy, case_id, row, prediction))
        except Unavailable:
            raise
        except Exception as error:
            _skip(case_id, error)
            return False

    async def score_next(self) -> float | None:
        """Score some cases if the scorer is available; after a full batch, the next one follows at once."""
        done = 0
        with contextlib.suppress(Unavailable, Overloaded):
            if await self._scoring.available():
                done = await self.run_once()
        if done:
            _log.info("cases scored", cases=done)
        return 0.0 if done >= AT_ONCE // 2 else None


def _readable(case_id: str, row: Any) -> Transaction | None:
    """The order of a case as it is scored; None where its record is damaged: the other cases must not wait for it."""
    try:
        return _whole(row)
    except Exception as error:
        _skip(case_id, error)
        return None


def _skip(case_id: str, error: Exception) -> None:
    SKIPPED.inc()
    _log.error(
        "case stays without a score: its record cannot be read; run `vouch audit verify`", case=case_id,
        error=type(error).__name__, where=traceback_frames(error),
    )  # fmt: skip
