"""Outcomes: what became of orders, reported by whoever learns of it. All stay; the latest report counts."""

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa

from agent_server.ledger.group import Group
from agent_server.ledger.records import timestamp
from agent_server.ledger.schema import OUTCOMES
from generated.vouch.v1 import outcome_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.rpc.errors import NotFound


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

    def __call__(self, group: Group) -> Reported:
        """Keep it. Raises NotFound for an order that was never decided, or was erased."""
        revisions = group.revisions(self.transaction_id)
        if not revisions:
            raise NotFound(
                "there is no decision for this transaction", reason=ErrorReason.ERROR_REASON_DECISION_NOT_FOUND
            )
        outcome, now, reporter = self._outcome, self._now, self._reporter
        outcome_id = _identity(outcome)
        row = group.execute(sa.select(OUTCOMES).where(OUTCOMES.c.outcome_id == outcome_id)).first()
        if row is not None:
            now, reporter = row.reported_at, row.reported_by
        else:
            group.execute(
                OUTCOMES.insert().values(
                    outcome_id=outcome_id,
                    sequence=revisions[-1].sequence,
                    kind=outcome.kind,
                    occurred_at=outcome.occurred_at.ToMicroseconds(),
                    source=outcome.source,
                    abuse_type=outcome.abuse_type,
                    reported_at=now,
                    reported_by=reporter,
                )
            )
        kept = pb.Outcome(reported_at=timestamp(now), reported_by=reporter)
        kept.MergeFrom(outcome)
        return Reported(kept, again=row is not None)


def _identity(outcome: pb.Outcome) -> str:
    """What makes two reports the same one: order, kind, time, source and kind of abuse."""
    return hashlib.sha256(outcome.SerializeToString(deterministic=True)).hexdigest()
