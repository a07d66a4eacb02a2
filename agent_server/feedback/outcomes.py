"""Outcomes: what became of orders, reported by whoever learns of it. All stay; the latest report counts."""

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
class Reported:
    """An outcome as it is kept, and whether the same was reported before."""

    outcome: pb.Outcome
    again: bool


class Report:
    """Keeps an outcome; `outcome` holds everything but when and by whom it was reported first."""

    def __init__(self, outcome: pb.Outcome, now: int, reporter: str) -> None:
        self.transaction_id = outcome.transaction_id
        self._outcome, self._now, self._reporter = outcome, now, reporter

    def __call__(self, tx: LedgerTransaction) -> Reported:
        """Keep it. Raises NotFound for an order that was never decided, or was erased."""
        revisions = tx.revisions(self.transaction_id)
        if not revisions:
            raise NotFound(
                "there is no decision for this transaction", reason=ErrorReason.ERROR_REASON_DECISION_NOT_FOUND
            )
        outcome, now, reporter = self._outcome, self._now, self._reporter
        outcome_id = _identity(outcome)
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
        kept = pb.Outcome(reported_at=timestamp(now), reported_by=reporter)
        kept.MergeFrom(outcome)
        return Reported(kept, again=row is not None)


def _identity(outcome: pb.Outcome) -> str:
    """What makes two reports the same one: order, kind, time, source and kind of abuse."""
    return hashlib.sha256(outcome.SerializeToString(deterministic=True)).hexdigest()


def outcome_page(
    transaction_id: str, after: Place | None = None, size: int | None = None
) -> Query[tuple[list[pb.Outcome], Place | None]]:
    """Outcomes of an order in the order in which they were reported, and the place that the next page starts behind."""
    query = _REPORTED.where(PAYLOADS.c.transaction_id == transaction_id).limit(ROWS_AT_ONCE + 1)
    at, identity = OUTCOMES.c.reported_at, OUTCOMES.c.outcome_id

    def behind(place: Place | None) -> sa.Select[Any]:
        if place is None:
            return query
        return query.where(sa.or_(at > place[0], sa.and_(at == place[0], identity > place[1])))

    def read(connection: Connection) -> tuple[list[pb.Outcome], Place | None]:
        page, place = Page[pb.Outcome](size), after
        while True:
            rows = connection.execute(behind(place)).all()
            for row in rows[:ROWS_AT_ONCE]:
                if not page.add(_outcome(row)):
                    return page.messages, place
                place = (row.reported_at, row.outcome_id)
                if page.is_full:
                    return page.messages, place if len(rows) > ROWS_AT_ONCE or row is not rows[-1] else None
            if len(rows) <= ROWS_AT_ONCE:
                return page.messages, None

    return read


def outcomes_on(connection: Connection, sequences: Sequence[int]) -> dict[int, list[pb.Outcome]]:
    """Outcomes by the decision that they hang on."""
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
