"""Labels from the ledger: the latest statement on each order, from reviewers' verdicts and reported outcomes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.queries import FIRST_CASE
from agent_server.cases.tables import CASES
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED, Query
from agent_server.ledger.records import order_of, probability_of, timestamp
from agent_server.ledger.schema import ENTRIES, OUTCOMES, PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts

VERDICT = "verdict"
"""Source of a label from a reviewer's verdict."""
SILENCE = "silence"
"""Source of a label without a statement: an approved order without a report of abuse for long enough."""
VERDICT_CONFIDENCE, AGREED_CONFIDENCE, DISPUTED_CONFIDENCE, SILENCE_CONFIDENCE = 0.9, 0.97, 0.6, 0.95
"""Confidence of labels: one verdict, two that agree, two that disagree, and silence."""
REPORT_CONFIDENCE: Final = {
    outcomes.OUTCOME_KIND_CHARGEBACK: 0.95,
    outcomes.OUTCOME_KIND_REFUND_CLAIM: 0.8,
    outcomes.OUTCOME_KIND_CONFIRMED_GOOD: 0.99,
}
"""Confidence of outcomes: customers also charge back legitimate orders, and even more often claim refunds for them."""
FAR_FUTURE = 2**63 - 1
"""Later than any time, in microseconds since 1970."""
PAGE_SIZE = 500
"""Number of labels per page."""


@dataclass(frozen=True)
class KnownLabel:
    """A label, without its order. `at` is when it became known, in microseconds since 1970."""

    transaction_id: str
    sequence: int
    at: int
    is_abuse: bool
    abuse_type: str
    source: str
    confidence: float


Place = tuple[int, int, str | int]
"""Sort key of a statement, and the end of a page: time, stream, id in the stream. The latest statement is the label."""
_VERDICTS, _REPORTS, _SILENCE = range(3)
Statement = tuple[Place, Any]


def label_page(
    after: Place | None = None,
    since: int = 0,
    matured_before: int | None = None,
    until: int = FAR_FUTURE,
    size: int | None = None,
) -> Query[tuple[list[KnownLabel], Place | None]]:
    """Query a page of labels after a place, oldest first, and the place after which the next page starts (None: end).

    A label is the latest statement since `since` on an order that was not erased. Statements after `until` do not
    count, so that consecutive pages name no order twice. A page holds at most `size` labels, by default PAGE_SIZE, and
    may be empty.

    With `matured_before` only orders decided before that time have labels. Otherwise labels of young orders would be
    biased, because abuse is reported early. Mature orders without any statement whose latest decision is an approval
    are labelled legitimate. Denied orders get no such label, because nothing was observed.
    """
    size = PAGE_SIZE if size is None else size

    def read(connection: Connection) -> tuple[list[KnownLabel], Place | None]:
        streams = (_VERDICTS, _REPORTS) if matured_before is None else (_VERDICTS, _REPORTS, _SILENCE)
        statements: list[Statement] = []
        for stream in streams:
            query, at, name = _statement_query(stream, matured_before)
            query = query.where(at >= since, at <= until).order_by(at, name).limit(size)
            if after is not None:
                query = query.where(_is_after(after, stream, at, name))
            statements += [((row.stated_at, stream, row.name), row) for row in connection.execute(query).all()]
        page = sorted(statements, key=lambda statement: statement[0])[:size]
        if not page:
            return [], None
        latest_places = _latest_places(connection, {row.transaction_id for _, row in page}, until)
        latest = [
            (place, row) for place, row in page
            if latest_places.get(row.transaction_id) == place
            or (place[1] == _SILENCE and row.transaction_id not in latest_places)
        ]  # fmt: skip
        labelled_rows = [row for row in latest if matured_before is None or row[1].decided_at < matured_before]
        second = _second_verdicts(
            connection, [row.about for (_, stream, _), row in labelled_rows if stream == _VERDICTS]
        )
        known = [_to_label(place[1], row, second) for place, row in labelled_rows]
        return known, page[-1][0] if len(statements) >= size else None

    return read


def known_labels(since: int = 0, matured_before: int | None = None) -> Query[list[KnownLabel]]:
    """Query all labels, without their orders; see `label_page`."""

    def read(connection: Connection) -> list[KnownLabel]:
        found: list[KnownLabel] = []
        after: Place | None = None
        while True:
            known, after = label_page(after, since, matured_before)(connection)
            found += known
            if after is None:
                return found

    return read


_ENTRY: list[Any] = [ENTRIES.c.sequence, ENTRIES.c.at.label("decided_at"), PAYLOADS.c.transaction_id]
_LATER, _LATER_PAYLOADS = ENTRIES.alias("later"), PAYLOADS.alias("later_payloads")
_IS_REPLACED = (
    sa.select(_LATER_PAYLOADS.c.sequence)
    .join(_LATER, _LATER.c.sequence == _LATER_PAYLOADS.c.sequence)
    .where(
        _LATER_PAYLOADS.c.transaction_id == PAYLOADS.c.transaction_id,
        _LATER_PAYLOADS.c.sequence > PAYLOADS.c.sequence,
        _LATER.c.kind == int(Kind.DECISION),
    )
    .exists()
)


def _statement_query(stream: int, before: int | None) -> tuple[sa.Select[Any], Any, Any]:
    """Return the query for a stream of statements, and the columns by which it is sorted."""
    query: Any
    if stream == _VERDICTS:
        at, name = CASES.c.resolved_at, CASES.c.case_id
        query = sa.select(
            *_ENTRY, CASES.c.verdict, CASES.c.abuse_type, ENTRIES.c.facts, FIRST_CASE.label("about")
        ).join(CASES, CASES.c.sequence == ENTRIES.c.sequence)  # fmt: skip
        query = query.where(CASES.c.status == cases.CASE_STATUS_RESOLVED)
    elif stream == _REPORTS:
        at, name = OUTCOMES.c.reported_at, OUTCOMES.c.outcome_id
        query = sa.select(*_ENTRY, OUTCOMES.c.kind, OUTCOMES.c.source, OUTCOMES.c.abuse_type)
        query = query.join(OUTCOMES, OUTCOMES.c.sequence == ENTRIES.c.sequence)
    else:
        at, name = ENTRIES.c.at, ENTRIES.c.sequence
        query = sa.select(*_ENTRY).where(ENTRIES.c.decision == int(pb.DECISION_APPROVE), at < before, ~_IS_REPLACED)
    query = query.join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence).where(ENTRIES.c.kind == int(Kind.DECISION))
    return query.add_columns(at.label("stated_at"), name.label("name")), at, name


def _is_after(after: Place, stream: int, at: Any, name: Any) -> Any:
    """Return the condition that a statement of a stream comes after a place."""
    if stream != after[1]:
        return at >= after[0] if stream > after[1] else at > after[0]
    return sa.or_(at > after[0], sa.and_(at == after[0], name > after[2]))


def _latest_places(connection: Connection, transaction_ids: Collection[str], until: int) -> dict[str, Place]:
    """Return the place of the latest verdict or report, up to `until`, on each of some orders."""
    latest: dict[str, Place] = {}
    for stream in (_VERDICTS, _REPORTS):
        query, at, _ = _statement_query(stream, None)
        for row in connection.execute(query.where(PAYLOADS.c.transaction_id.in_(transaction_ids), at <= until)):
            place = (row.stated_at, stream, row.name)
            if (stream == _REPORTS or _by_human(row)) and place > latest.get(row.transaction_id, (0, -1, "")):
                latest[row.transaction_id] = place
    return latest


def _by_human(row: Any) -> bool:
    """Return whether the decision of a case is a reviewer's verdict."""
    return DecisionFacts.FromString(row.facts).decision_maker == pb.DECISION_MAKER_HUMAN


def _second_verdicts(connection: Connection, first_cases: Collection[str]) -> dict[str, int]:
    """Return the verdicts of blind reviews by the id of the first case on the order."""
    if not first_cases:
        return {}
    query = sa.select(CASES.c.review_of, CASES.c.verdict).where(
        CASES.c.round == 2, CASES.c.status == cases.CASE_STATUS_RESOLVED, CASES.c.review_of.in_(first_cases)
    )
    return {row.review_of: row.verdict for row in connection.execute(query)}


def _to_label(stream: int, row: Any, second: Mapping[str, int]) -> KnownLabel:
    common = (row.transaction_id, row.sequence, row.stated_at)
    if stream == _SILENCE:
        return KnownLabel(*common, False, "", SILENCE, SILENCE_CONFIDENCE)
    if stream == _VERDICTS:
        confidence = _verdict_confidence(row.verdict, second.get(row.about))
        return KnownLabel(*common, row.verdict == pb.DECISION_DENY, row.abuse_type, VERDICT, confidence)
    is_abuse = row.kind != outcomes.OUTCOME_KIND_CONFIRMED_GOOD
    return KnownLabel(*common, is_abuse, row.abuse_type, row.source, REPORT_CONFIDENCE[row.kind])


def _verdict_confidence(verdict: int, second: int | None) -> float:
    """Return the confidence of a verdict, given the verdict of a blind review if there was one."""
    if second is None:
        return VERDICT_CONFIDENCE
    return AGREED_CONFIDENCE if verdict == second else DISPUTED_CONFIDENCE


def labels_with_orders(known: Sequence[KnownLabel]) -> Query[list[cases.ExportLabelsResponse]]:
    """Query labels with their orders; orders that were erased meanwhile are left out."""

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
