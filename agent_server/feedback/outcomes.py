"""Outcomes of orders, as reported by the shop or its providers. All are recorded; the latest report counts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.queries import Place
from agent_server.database.pages import ROWS_AT_ONCE, Page
from agent_server.ledger.queries import Query
from agent_server.ledger.records import timestamp
from agent_server.ledger.schema import OUTCOMES, PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import outcome_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.errors import NotFound

_REPORTED = (
    sa.select(OUTCOMES, PAYLOADS.c.transaction_id)
    .join(PAYLOADS, PAYLOADS.c.sequence == OUTCOMES.c.sequence)
    .order_by(OUTCOMES.c.reported_at, OUTCOMES.c.outcome_id)
)


@dataclass(frozen=True)
class RecordedOutcome:
    """A recorded outcome, and whether it had been reported before."""

    outcome: pb.Outcome
    is_repeat: bool


class RecordOutcome:
    """Write that records an outcome. `outcome` has all fields but the time and the caller of the first report."""

    def __init__(self, outcome: pb.Outcome, now: int, reporter: str) -> None:
        self.transaction_id = outcome.transaction_id
        self._outcome, self._now, self._reporter = outcome, now, reporter

    def __call__(self, tx: LedgerTransaction) -> RecordedOutcome:
        """Record it. Raises NotFound for an order that was never decided, or was erased."""
        revisions = tx.revisions(self.transaction_id)
        if not revisions:
            raise no_decision()
        outcome, now, reporter = self._outcome, self._now, self._reporter
        outcome_id = _outcome_id(outcome)
        row = tx.execute(sa.select(OUTCOMES).where(OUTCOMES.c.outcome_id == outcome_id)).first()
        if row is not None:
            now, reporter = row.reported_at, row.reported_by
        else:
            tx.insert(
                OUTCOMES,
                {
                    "outcome_id": outcome_id, "sequence": revisions[-1].sequence, "kind": outcome.kind,
                    "occurred_at": outcome.occurred_at.ToMicroseconds(), "source": outcome.source,
                    "abuse_type": outcome.abuse_type, "reported_at": now, "reported_by": reporter,
                },
            )  # fmt: skip
        recorded = pb.Outcome(reported_at=timestamp(now), reported_by=reporter)
        recorded.MergeFrom(outcome)
        return RecordedOutcome(recorded, is_repeat=row is not None)


def no_decision() -> NotFound:
    """Return the error for a transaction without a decision."""
    return NotFound("no decision for this transaction", reason=ErrorReason.ERROR_REASON_DECISION_NOT_FOUND)


def _outcome_id(outcome: pb.Outcome) -> str:
    """Return the id of an outcome: a digest of order, kind, time, source and type of abuse."""
    return hashlib.sha256(outcome.SerializeToString(deterministic=True)).hexdigest()


def outcome_page(
    transaction_id: str, after: Place | None = None, size: int | None = None
) -> Query[tuple[list[pb.Outcome], Place | None]]:
    """Query a page of an order's outcomes, by time of report, and the place after which the next page starts."""
    query = _REPORTED.where(PAYLOADS.c.transaction_id == transaction_id).limit(ROWS_AT_ONCE + 1)
    at, identity = OUTCOMES.c.reported_at, OUTCOMES.c.outcome_id

    def after_place(place: Place | None) -> sa.Select[Any]:
        if place is None:
            return query
        return query.where(sa.or_(at > place[0], sa.and_(at == place[0], identity > place[1])))

    def read(connection: Connection) -> tuple[list[pb.Outcome], Place | None]:
        page, place = Page[pb.Outcome](size), after
        while True:
            rows = connection.execute(after_place(place)).all()
            for row in rows[:ROWS_AT_ONCE]:
                if not page.add(_outcome(row)):
                    return page.messages, place
                place = (row.reported_at, row.outcome_id)
                if page.is_full:
                    return page.messages, place if len(rows) > ROWS_AT_ONCE or row is not rows[-1] else None
            if len(rows) <= ROWS_AT_ONCE:
                return page.messages, None

    return read


def outcomes_by_decision(connection: Connection, sequences: Sequence[int]) -> dict[int, list[pb.Outcome]]:
    """Return outcomes by the sequence number of the decision that they belong to."""
    by_decision: dict[int, list[pb.Outcome]] = {}
    for row in connection.execute(_REPORTED.where(OUTCOMES.c.sequence.in_(sequences))):
        by_decision.setdefault(row.sequence, []).append(_outcome(row))
    return by_decision


def _outcome(row: Any) -> pb.Outcome:
    return pb.Outcome(
        transaction_id=row.transaction_id,
        kind=row.kind,
        occurred_at=timestamp(row.occurred_at),
        source=row.source,
        abuse_type=row.abuse_type,
        reported_at=timestamp(row.reported_at),
        reported_by=row.reported_by,
    )
