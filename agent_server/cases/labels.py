"""Labels out of the ledger: verdicts of people and outcomes of orders, the latest word on each order."""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.queries import FIRST_LOOK
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED, Query
from agent_server.ledger.records import order_of, probability_of, timestamp
from agent_server.ledger.schema import CASES, ENTRIES, OUTCOMES, PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts

VERDICT = "verdict"
"""The source of a label that a reviewer gave."""
SILENCE = "silence"
"""The source of a label that nobody gave: an approved order of which nothing bad was heard for long enough."""
VERDICT_CONFIDENCE, AGREED_CONFIDENCE, DISPUTED_CONFIDENCE, SILENCE_CONFIDENCE = 0.9, 0.97, 0.6, 0.95
"""How sure a verdict is: one alone, one that a second reviewer shares, one that was or is disputed; and how sure silence is."""
REPORT_CONFIDENCE: Final = {
    outcomes.OUTCOME_KIND_CHARGEBACK: 0.95,
    outcomes.OUTCOME_KIND_REFUND_CLAIM: 0.8,
    outcomes.OUTCOME_KIND_CONFIRMED_GOOD: 0.99,
}
"""How sure an outcome is: customers charge back orders of their own too, and claim refunds for worse reasons."""


@dataclass(frozen=True)
class Known:
    """What is known of an order, without the order."""

    sequence: int
    at: int
    is_abuse: bool
    abuse_type: str
    source: str
    confidence: float


def known_labels(since: int = 0, silent_before: int | None = None) -> Query[list[Known]]:
    """The latest word on each order whose person was not erased, known from a moment on, oldest first.

    With `silent_before` also orders whose latest decision, made before that moment, is an approval, and of which nobody said
    anything: honest, it seems. A denied order has no such label: nobody found out.
    """

    def read(connection: Connection) -> list[Known]:
        latest: dict[str, Known] = {}
        for transaction_id, known in (*_verdicts(connection), *_reports(connection)):
            if transaction_id not in latest or known.at >= latest[transaction_id].at:
                latest[transaction_id] = known
        if silent_before is not None:
            latest = _silent_approvals(connection, silent_before) | latest
        return sorted((known for known in latest.values() if known.at >= since), key=lambda known: known.at)

    return read


_SECOND_LOOKS = sa.select(CASES.c.review_of, CASES.c.verdict).where(
    CASES.c.round == 2, CASES.c.status == cases.CASE_STATUS_RESOLVED
)


def _silent_approvals(connection: Connection, before: int) -> dict[str, Known]:
    rows = connection.execute(
        sa.select(ENTRIES.c.sequence, ENTRIES.c.at, ENTRIES.c.decision, PAYLOADS.c.transaction_id)
        .join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence)
        .where(ENTRIES.c.kind == int(Kind.DECISION))
        .order_by(ENTRIES.c.sequence)
    )
    decided = {row.transaction_id: row for row in rows}
    return {
        name: Known(row.sequence, row.at, False, "", SILENCE, SILENCE_CONFIDENCE)
        for name, row in decided.items()
        if row.decision == pb.DECISION_APPROVE and row.at < before
    }


def _verdicts(connection: Connection) -> list[tuple[str, Known]]:
    rows = connection.execute(
        sa.select(
            CASES.c.sequence, CASES.c.resolved_at, CASES.c.verdict, CASES.c.abuse_type, PAYLOADS.c.transaction_id,
            ENTRIES.c.facts, FIRST_LOOK.label("about"),
        )
        .join(ENTRIES, ENTRIES.c.sequence == CASES.c.sequence)
        .join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence)
        .where(CASES.c.status == cases.CASE_STATUS_RESOLVED, ENTRIES.c.kind == int(Kind.DECISION))
    )  # fmt: skip
    second = {row.review_of: row.verdict for row in connection.execute(_SECOND_LOOKS)}
    return [
        (
            row.transaction_id,
            Known(
                row.sequence,
                row.resolved_at,
                row.verdict == pb.DECISION_DENY,
                row.abuse_type,
                VERDICT,
                _confidence(row.verdict, second.get(row.about)),
            ),
        )
        for row in rows
        if DecisionFacts.FromString(row.facts).decision_maker == pb.DECISION_MAKER_HUMAN
    ]


def _confidence(verdict: int, second: int | None) -> float:
    """How sure a verdict is, given that of a second look, if there was one."""
    if second is None:
        return VERDICT_CONFIDENCE
    return AGREED_CONFIDENCE if verdict == second else DISPUTED_CONFIDENCE


def _reports(connection: Connection) -> list[tuple[str, Known]]:
    rows = connection.execute(
        sa.select(OUTCOMES, PAYLOADS.c.transaction_id)
        .join(PAYLOADS, PAYLOADS.c.sequence == OUTCOMES.c.sequence)
        .join(ENTRIES, ENTRIES.c.sequence == OUTCOMES.c.sequence)
        .where(ENTRIES.c.kind == int(Kind.DECISION))
        .order_by(OUTCOMES.c.reported_at)
    )
    good = outcomes.OUTCOME_KIND_CONFIRMED_GOOD
    return [
        (
            row.transaction_id,
            Known(
                row.sequence,
                row.reported_at,
                row.kind != good,
                row.abuse_type,
                row.source,
                REPORT_CONFIDENCE[row.kind],
            ),
        )
        for row in rows
    ]


def labelled(known: list[Known]) -> Query[list[cases.ExportLabelsResponse]]:
    """The labels with their orders; those that were erased meanwhile are left out."""

    def read(connection: Connection) -> list[cases.ExportLabelsResponse]:
        chosen = DECIDED.where(ENTRIES.c.sequence.in_([label.sequence for label in known]))
        rows: dict[int, Any] = {row.sequence: row for row in connection.execute(chosen)}
        return [
            cases.ExportLabelsResponse(
                transaction=order_of(rows[label.sequence]),
                is_abuse=label.is_abuse,
                resolved_at=timestamp(label.at),
                abuse_type=label.abuse_type,
                source=label.source,
                confidence=label.confidence,
                weight=1 / (probability_of(DecisionFacts.FromString(rows[label.sequence].facts)) or 1.0),
            )
            for label in known
            if label.sequence in rows
        ]

    return read
