"""What is read from the ledger, in messages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.ledger.chain import Kind
from agent_server.ledger.records import answer_of, order_of, record_of, timestamp
from agent_server.ledger.schema import CASES, ENTRIES, PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases

T = TypeVar("T")
Query = Callable[[Connection], T]
"""What is read with a connection, and what it gives."""

_ENTRY = (ENTRIES.c.sequence, ENTRIES.c.entry_id, ENTRIES.c.at, ENTRIES.c.decision, ENTRIES.c.facts)
_PAYLOAD = (PAYLOADS.c.transaction_id, PAYLOADS.c.user_id, PAYLOADS.c.payload)
DECIDED = sa.select(*_ENTRY, *_PAYLOAD).join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence)
"""Decisions that were not erased."""
RECORDED = sa.select(*_ENTRY, *_PAYLOAD).join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence, isouter=True)
"""All decisions."""


def latest_record(transaction_id: str) -> Query[pb.DecisionRecord | None]:
    """The latest decision of a transaction."""
    query = DECIDED.where(PAYLOADS.c.transaction_id == transaction_id).order_by(ENTRIES.c.sequence.desc()).limit(1)

    def read(connection: Connection) -> pb.DecisionRecord | None:
        row = connection.execute(query).first()
        return None if row is None else record_of(row)

    return read


@dataclass(frozen=True)
class Wanted:
    """Which decisions are looked for; empty and None mean any. Times are in microseconds since 1970."""

    transaction_id: str = ""
    user_id: str = ""
    since: int | None = None
    until: int | None = None
    decision: int = 0


def record_page(wanted: Wanted, after: int, size: int) -> Query[tuple[list[pb.DecisionRecord], int | None]]:
    """Records behind the sequence number `after`, oldest first, and the number that the next page starts behind.

    Sequences are committed in their order, so a page never skips what is written later.
    """
    query = RECORDED.where(ENTRIES.c.kind == int(Kind.DECISION), ENTRIES.c.sequence > after)
    if wanted.transaction_id:
        query = query.where(PAYLOADS.c.transaction_id == wanted.transaction_id)
    if wanted.user_id:
        query = query.where(PAYLOADS.c.user_id == wanted.user_id)
    if wanted.since is not None:
        query = query.where(ENTRIES.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(ENTRIES.c.at < wanted.until)
    if wanted.decision:
        query = query.where(ENTRIES.c.decision == wanted.decision)

    def read(connection: Connection) -> tuple[list[pb.DecisionRecord], int | None]:
        rows = connection.execute(query.order_by(ENTRIES.c.sequence).limit(size + 1)).all()
        return [record_of(row) for row in rows[:size]], rows[size - 1].sequence if len(rows) > size else None

    return read


_CASE = sa.select(*CASES.c, ENTRIES.c.entry_id, PAYLOADS.c.transaction_id).join(
    ENTRIES, ENTRIES.c.sequence == CASES.c.sequence
).join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence, isouter=True)  # fmt: skip


def case_of(row: Any) -> cases.Case:
    """A case from a row of _CASE."""
    case = cases.Case(
        case_id=row.case_id,
        transaction_id=row.transaction_id or "",
        status=row.status,
        opened_at=timestamp(row.opened_at),
        legitimacy_score=row.legitimacy_score,
        recommendation=row.recommendation,
        reviewer=row.reviewer,
        verdict=row.verdict,
        note=row.note,
        reason=row.reason,
        decision_id=row.entry_id,
    )
    if row.resolved_at is not None:
        case.resolved_at.CopyFrom(timestamp(row.resolved_at))
    return case


def case_page(status: int, before: int | None, size: int) -> Query[tuple[list[cases.Case], int | None]]:
    """A page of cases, newest first, and the number that the next page starts before."""
    query = _CASE.order_by(CASES.c.opened_by.desc()).limit(size + 1)
    if status:
        query = query.where(CASES.c.status == status)
    if before is not None:
        query = query.where(CASES.c.opened_by < before)

    def read(connection: Connection) -> tuple[list[cases.Case], int | None]:
        rows = connection.execute(query).all()
        return [case_of(row) for row in rows[:size]], rows[size - 1].opened_by if len(rows) > size else None

    return read


def whole_case(case_id: str) -> Query[cases.GetCaseResponse | None]:
    """A case with its order and its latest decision."""

    def read(connection: Connection) -> cases.GetCaseResponse | None:
        row = connection.execute(_CASE.where(CASES.c.case_id == case_id)).first()
        if row is None:
            return None
        whole = cases.GetCaseResponse(case=case_of(row))
        decided = connection.execute(DECIDED.where(ENTRIES.c.sequence == row.sequence)).first()
        if decided is not None:  # absent once the person was erased
            whole.transaction.CopyFrom(order_of(decided))
            whole.review.CopyFrom(answer_of(decided))
        return whole

    return read


def case_rows(connection: Connection, sequences: list[int]) -> list[Any]:
    """Rows of the cases that hang on decisions, for `case_of`."""
    return list(connection.execute(_CASE.where(CASES.c.sequence.in_(sequences))))


def unscored_cases(size: int, after: int = 0) -> Query[list[tuple[str, Any]]]:
    """Cases without a score that nobody has resolved, each with the row of its decision: those behind `after`, oldest first."""
    columns = sa.select(CASES.c.case_id, *_ENTRY, *_PAYLOAD, PAYLOADS.c.content_digest)
    query = (
        columns.join(ENTRIES, ENTRIES.c.sequence == CASES.c.sequence)
        .join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence)
        .where(
            CASES.c.sequence > after,
            CASES.c.reason == cases.CASE_REASON_UNSCORED,
            CASES.c.status.in_((cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED)),
            CASES.c.legitimacy_score.is_(None),
        )
        .order_by(CASES.c.sequence)
        .limit(size)
    )

    def read(connection: Connection) -> list[tuple[str, Any]]:
        return [(row.case_id, row) for row in connection.execute(query)]

    return read
