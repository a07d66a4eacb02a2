"""Queries for cases, as messages, limited to what a viewer may see.

While a blind review of an order is unresolved, reviewers do not see the verdicts of others on that order, nor who gave
them, nor the agent's recommendation and reasons. This holds for all cases of the order. `viewer` is the name of such a
reviewer; None sees everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.blind_view import without_advice
from agent_server.cases.lifecycle import OPENED_NUMBER
from agent_server.cases.tables import CASE_EVENTS, CASES
from agent_server.database.pages import PAGE_BYTES, ROWS_AT_ONCE, Page
from agent_server.ledger.queries import DECIDED, Query
from agent_server.ledger.records import answer_of, order_of, timestamp
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from contract.abuse_types import likeliest
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionPayload

_REVIEWS = CASES.alias("reviews")
FIRST_CASE = sa.case((CASES.c.review_of != "", CASES.c.review_of), else_=CASES.c.case_id)
"""The id of the first case of an order: blind reviews refer to it."""
_PENDING = sa.exists().where(_REVIEWS.c.review_of == FIRST_CASE, _REVIEWS.c.status != cases.CASE_STATUS_RESOLVED)
_WITHHELD = sa.and_(_PENDING, CASES.c.status == cases.CASE_STATUS_RESOLVED)
_CASE = sa.select(
    *CASES.c, ENTRIES.c.entry_id, PAYLOADS.c.transaction_id, PAYLOADS.c.payload, _PENDING.label("pending")
).join(
    ENTRIES, ENTRIES.c.sequence == CASES.c.sequence
).join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence, isouter=True)  # fmt: skip


def case_of(row: Any, viewer: str | None = None) -> cases.Case:
    """Return a case from a row of _CASE, as `viewer` may see it."""
    hides = _hides_verdict(row, viewer)
    case = cases.Case(
        case_id=row.case_id,
        transaction_id=row.transaction_id or "",
        status=row.status,
        opened_at=timestamp(row.opened_at),
        legitimacy_score=row.legitimacy_score,
        reviewer="" if hides and row.status == cases.CASE_STATUS_RESOLVED else row.reviewer,
        reason=row.reason,
        decision_id=row.entry_id,
        expected_loss=row.expected_loss,
        due_at=timestamp(row.due_at),
    )
    if row.payload is not None:
        _describe(case, DecisionPayload.FromString(row.payload))
    if row.resolved_at is not None:
        case.resolved_at.CopyFrom(timestamp(row.resolved_at))
    if row.claimed_until is not None:
        case.claimed_until.CopyFrom(timestamp(row.claimed_until))
    if not _hides_advice(row, viewer):
        case.recommendation = row.recommendation
    if not hides:
        case.verdict, case.note = row.verdict, row.note
        case.abuse_type, case.reason_code = row.abuse_type, row.reason_code
    if viewer is None:
        case.round, case.review_of, case.golden_verdict = row.round, row.review_of, row.golden
    return case


def _describe(case: cases.Case, payload: DecisionPayload) -> None:
    """Set the amount, the currency, the value and the likely kind of abuse from the order's payload."""
    order = payload.transaction
    if order.HasField("order_amount"):
        case.order_amount = order.order_amount
    case.currency = order.currency
    if payload.answer.HasField("order_value"):
        case.order_value.CopyFrom(payload.answer.order_value)
    if payload.answer.HasField("ml_prediction"):
        case.likely_abuse = likeliest(payload.answer.ml_prediction.abuse_type_scores)


def _hides_verdict(row: Any, viewer: str | None) -> bool:
    """Return whether a case hides its verdict: another's, while a further review of the order is unresolved."""
    return viewer is not None and row.pending and row.reviewer != viewer


def _hides_advice(row: Any, viewer: str | None) -> bool:
    """Return whether a case hides the recommendation: in blind reviews, and in all cases while one is unresolved."""
    return viewer is not None and (row.round > 1 or _hides_verdict(row, viewer))


@dataclass(frozen=True)
class CaseFilter:
    """Which cases are listed, and whether by priority or newest first. 0 and empty mean any."""

    status: int = 0
    reason: int = 0
    reviewer: str = ""
    by_priority: bool = False


Place = tuple[int, str]
"""Cursor of a page of cases: the sort key and the id of its last case."""


def case_page(
    filters: CaseFilter, after: Place | None, size: int, viewer: str | None = None
) -> Query[tuple[list[cases.Case], Place | None]]:
    """Return a query for a page of cases, limited in bytes as Page is, and the cursor of the next page."""
    key = CASES.c.urgency if filters.by_priority else -CASES.c.opened_by
    at_once = min(size, ROWS_AT_ONCE)
    query = _CASE.order_by(key, CASES.c.case_id).limit(at_once + 1)
    for column, value in (
        (CASES.c.status, filters.status), (CASES.c.reason, filters.reason), (CASES.c.reviewer, filters.reviewer)
    ):  # fmt: skip
        if value:
            query = query.where(column == value)
    if filters.reviewer and viewer not in (None, filters.reviewer):
        query = query.where(sa.not_(_WITHHELD))  # the filter must not reveal whose verdict is hidden

    def behind(place: Place | None) -> sa.Select[Any]:
        if place is None:
            return query
        return query.where(sa.or_(key > place[0], sa.and_(key == place[0], CASES.c.case_id > place[1])))

    def read(connection: Connection) -> tuple[list[cases.Case], Place | None]:
        page, place = Page[cases.Case](size), after
        while True:
            rows = connection.execute(behind(place)).all()
            for row in rows[:at_once]:
                if not page.add(case_of(row, viewer)):
                    return page.messages, place
                place = (row.urgency if filters.by_priority else -row.opened_by, row.case_id)
                if page.is_full:
                    return page.messages, place if len(rows) > at_once or row is not rows[-1] else None
            if len(rows) <= at_once:
                return page.messages, None

    return read


def whole_case(case_id: str, viewer: str | None = None) -> Query[cases.GetCaseResponse | None]:
    """Return a query for a case with its order, its latest decision and its history."""

    def read(connection: Connection) -> cases.GetCaseResponse | None:
        row = connection.execute(_CASE.where(CASES.c.case_id == case_id)).first()
        if row is None:
            return None
        events, truncated = latest_events(connection, row, viewer)
        whole = cases.GetCaseResponse(case=case_of(row, viewer), events=events, events_truncated=truncated)
        decided = connection.execute(
            DECIDED.where(ENTRIES.c.sequence == _visible_entry(connection, row, viewer))
        ).first()
        if decided is not None:  # None if the person was erased
            whole.transaction.CopyFrom(order_of(decided))
            answer = answer_of(decided)
            whole.review.CopyFrom(without_advice(answer) if _hides_advice(row, viewer) else answer)
        return whole

    return read


def _visible_entry(connection: Connection, row: Any, viewer: str | None) -> int:
    """Return the decision that is shown with a case: the decision that was judged, if the verdict on it is hidden."""
    if not _hides_verdict(row, viewer) or row.round > 1:
        return int(row.sequence)
    chosen = sa.select(CASES.c.sequence).where(CASES.c.review_of == row.case_id).order_by(CASES.c.round).limit(1)
    return int(connection.execute(chosen).scalar_one())


def one_case(case_id: str, viewer: str | None = None) -> Query[cases.Case | None]:
    """Return a query for a case without its order and history."""

    def read(connection: Connection) -> cases.Case | None:
        row = connection.execute(_CASE.where(CASES.c.case_id == case_id)).first()
        return None if row is None else case_of(row, viewer)

    return read


def events_of(connection: Connection, case: Any, viewer: str | None = None) -> list[cases.CaseEvent]:
    """Return the history of a case, given its row, oldest first, without what others wrote if the case hides it."""
    rows = connection.execute(_events(case).order_by(CASE_EVENTS.c.number))
    return [_opened_event(case), *(_event(row, case, viewer) for row in rows)]


def latest_events(
    connection: Connection, case: Any, viewer: str | None = None, max_bytes: int = PAGE_BYTES // 4
) -> tuple[list[cases.CaseEvent], bool]:
    """Return the latest events that fit into `max_bytes`, oldest first, and whether earlier ones are left out."""
    page, latest = Page[cases.CaseEvent](None, max_bytes), _events(case).order_by(CASE_EVENTS.c.number.desc())
    before = None
    while True:
        older = latest if before is None else latest.where(CASE_EVENTS.c.number < before)
        rows = connection.execute(older.limit(ROWS_AT_ONCE)).all()
        for row in rows:
            if not page.add(_event(row, case, viewer)):
                return page.messages[::-1], True
            before = row.number
        if len(rows) < ROWS_AT_ONCE:
            return [_opened_event(case), *page.messages[::-1]], False


def _events(case: Any) -> sa.Select[Any]:
    return sa.select(CASE_EVENTS).where(CASE_EVENTS.c.case_id == case.case_id)


def _opened_event(case: Any) -> cases.CaseEvent:
    return cases.CaseEvent(number=OPENED_NUMBER, at=timestamp(case.opened_at), kind=cases.CASE_EVENT_KIND_OPENED)


def _event(row: Any, case: Any, viewer: str | None) -> cases.CaseEvent:
    hides = _hides_verdict(case, viewer) and row.actor != viewer
    return cases.CaseEvent(
        number=row.number,
        at=timestamp(row.at),
        kind=row.kind,
        actor="" if hides and case.status == cases.CASE_STATUS_RESOLVED else row.actor,
        text="" if hides else row.text,
    )


def case_rows(connection: Connection, case_ids: Sequence[str]) -> dict[str, Any]:
    """Return rows of cases by their ids, for `case_of`."""
    return {row.case_id: row for row in connection.execute(_CASE.where(CASES.c.case_id.in_(case_ids)))}


def cases_on(connection: Connection, sequences: Sequence[int]) -> dict[int, list[Any]]:
    """Return rows of the cases on decisions, for `case_of`, by the sequence number of the decision."""
    rows: dict[int, list[Any]] = {}
    for row in connection.execute(_CASE.where(CASES.c.sequence.in_(sequences)).order_by(CASES.c.opened_at)):
        rows.setdefault(row.sequence, []).append(row)
    return rows


def count_opened_since(at: int) -> Query[int]:
    """Return a query for the number of orders sent to review since a moment, without golden cases and blind reviews."""
    chosen = sa.select(sa.func.count()).where(CASES.c.opened_at >= at, CASES.c.round == 1, CASES.c.golden == 0)
    return lambda connection: int(connection.execute(chosen).scalar_one())
