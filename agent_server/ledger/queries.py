"""What is read from the ledger, in messages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.ledger.case_events import OPENED_NUMBER
from agent_server.ledger.chain import Kind
from agent_server.ledger.records import answer_of, order_of, record_of, timestamp
from agent_server.ledger.schema import CASE_EVENTS, CASES, ENTRIES, PAYLOADS
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
        expected_loss=row.expected_loss,
        due_at=timestamp(row.due_at),
        abuse_type=row.abuse_type,
        reason_code=row.reason_code,
    )
    if row.resolved_at is not None:
        case.resolved_at.CopyFrom(timestamp(row.resolved_at))
    if row.claimed_until is not None:
        case.claimed_until.CopyFrom(timestamp(row.claimed_until))
    return case


@dataclass(frozen=True)
class WantedCases:
    """Which cases are looked for; 0 and empty mean any. By priority, or newest first."""

    status: int = 0
    reason: int = 0
    reviewer: str = ""
    by_priority: bool = False


Place = tuple[int, str]
"""Where a page of cases ends: the number that they are sorted by, and the case's id."""


def case_page(wanted: WantedCases, after: Place | None, size: int) -> Query[tuple[list[cases.Case], Place | None]]:
    """A page of cases, and the place that the next one starts behind."""
    key = CASES.c.urgency if wanted.by_priority else -CASES.c.opened_by
    query = _CASE.order_by(key, CASES.c.case_id).limit(size + 1)
    for column, value in (
        (CASES.c.status, wanted.status), (CASES.c.reason, wanted.reason), (CASES.c.reviewer, wanted.reviewer)
    ):  # fmt: skip
        if value:
            query = query.where(column == value)
    if after is not None:
        query = query.where(sa.or_(key > after[0], sa.and_(key == after[0], CASES.c.case_id > after[1])))

    def read(connection: Connection) -> tuple[list[cases.Case], Place | None]:
        rows = connection.execute(query).all()
        page = [case_of(row) for row in rows[:size]]
        if len(rows) <= size:
            return page, None
        last = rows[size - 1]
        return page, (last.urgency if wanted.by_priority else -last.opened_by, last.case_id)

    return read


def whole_case(case_id: str) -> Query[cases.GetCaseResponse | None]:
    """A case with its order, its latest decision and its history."""

    def read(connection: Connection) -> cases.GetCaseResponse | None:
        row = connection.execute(_CASE.where(CASES.c.case_id == case_id)).first()
        if row is None:
            return None
        whole = cases.GetCaseResponse(case=case_of(row), events=events_of(connection, row))
        decided = connection.execute(DECIDED.where(ENTRIES.c.sequence == row.sequence)).first()
        if decided is not None:  # absent once the person was erased
            whole.transaction.CopyFrom(order_of(decided))
            whole.review.CopyFrom(answer_of(decided))
        return whole

    return read


def one_case(case_id: str) -> Query[cases.Case | None]:
    """A case alone."""

    def read(connection: Connection) -> cases.Case | None:
        row = connection.execute(_CASE.where(CASES.c.case_id == case_id)).first()
        return None if row is None else case_of(row)

    return read


def events_of(connection: Connection, case: Any) -> list[cases.CaseEvent]:
    """The history of a case, given its row, oldest first."""
    opened = cases.CaseEvent(number=OPENED_NUMBER, at=timestamp(case.opened_at), kind=cases.CASE_EVENT_KIND_OPENED)
    rows = connection.execute(
        sa.select(CASE_EVENTS).where(CASE_EVENTS.c.case_id == case.case_id).order_by(CASE_EVENTS.c.number)
    )
    return [opened, *(
        cases.CaseEvent(number=row.number, at=timestamp(row.at), kind=row.kind, actor=row.actor, text=row.text)
        for row in rows
    )]  # fmt: skip


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
