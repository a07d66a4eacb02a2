"""Labels out of the ledger: verdicts of people and outcomes of orders, the latest word on each order."""

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


NEVER = 2**63 - 1
"""Later than any time, in microseconds since 1970."""
PAGE = 500
"""Labels that are read at once."""


@dataclass(frozen=True)
class Known:
    """What is known of an order, without the order. `at` is when it was known, in microseconds since 1970."""

    transaction_id: str
    sequence: int
    at: int
    is_abuse: bool
    abuse_type: str
    source: str
    confidence: float


Place = tuple[int, int, str | int]
"""Where a page of labels ends: a time, which stream of statements, and an id in it. Of two statements the later is the word."""
_VERDICTS, _REPORTS, _SILENCE = range(3)
Statement = tuple[Place, Any]


def label_page(
    after: Place | None = None,
    since: int = 0,
    matured_before: int | None = None,
    until: int = NEVER,
    size: int | None = None,
) -> Query[tuple[list[Known], Place | None]]:
    """Labels behind a place, oldest first, and the place that the next page starts behind; None after the last.

    A label is the latest statement on an order whose person was not erased, known from `since` on. Later statements than
    `until` do not count: pages that are read one after another then name no order twice. A page holds at most `size` labels,
    PAGE by default, and may hold none.

    With `matured_before` only orders that were decided before that moment have labels, whatever is known of them: else abuse,
    which is told early, would be all that is known of young orders. Those of them whose latest decision is an approval, and of
    which nobody said anything, are then honest. A denied order has no such label: nobody found out.
    """
    size = PAGE if size is None else size

    def read(connection: Connection) -> tuple[list[Known], Place | None]:
        streams = (_VERDICTS, _REPORTS) if matured_before is None else (_VERDICTS, _REPORTS, _SILENCE)
        statements: list[Statement] = []
        for stream in streams:
            query, at, name = _stream(stream, matured_before)
            query = query.where(at >= since, at <= until).order_by(at, name).limit(size)
            if after is not None:
                query = query.where(_behind(after, stream, at, name))
            statements += [((row.said_at, stream, row.name), row) for row in connection.execute(query).all()]
        page = sorted(statements, key=lambda statement: statement[0])[:size]
        if not page:
            return [], None
        words = _latest_places(connection, {row.transaction_id for _, row in page}, until)
        spoken = [
            (place, row) for place, row in page
            if words.get(row.transaction_id) == place or (place[1] == _SILENCE and row.transaction_id not in words)
        ]  # fmt: skip
        mature = [row for row in spoken if matured_before is None or row[1].decided_at < matured_before]
        second = _second_verdicts(connection, [row.about for (_, stream, _), row in mature if stream == _VERDICTS])
        known = [_known(place[1], row, second) for place, row in mature]
        return known, page[-1][0] if len(statements) >= size else None

    return read


def known_labels(since: int = 0, matured_before: int | None = None) -> Query[list[Known]]:
    """All labels, without the orders: see `label_page`."""

    def read(connection: Connection) -> list[Known]:
        found: list[Known] = []
        known, after = label_page(None, since, matured_before)(connection)
        while True:
            found += known
            if after is None:
                return found
            known, after = label_page(after, since, matured_before)(connection)

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


def _stream(stream: int, before: int | None) -> tuple[sa.Select[Any], Any, Any]:
    """A stream of statements, and the columns that it is sorted by."""
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
    return query.add_columns(at.label("said_at"), name.label("name")), at, name


def _behind(after: Place, stream: int, at: Any, name: Any) -> Any:
    """Whether a statement of a stream is sorted behind a place."""
    if stream != after[1]:
        return at >= after[0] if stream > after[1] else at > after[0]
    return sa.or_(at > after[0], sa.and_(at == after[0], name > after[2]))


def _latest_places(connection: Connection, transaction_ids: Collection[str], until: int) -> dict[str, Place]:
    """The place of the latest verdict or report on each of some orders, known until then; silence is none."""
    latest: dict[str, Place] = {}
    for stream in (_VERDICTS, _REPORTS):
        query, at, _ = _stream(stream, None)
        for row in connection.execute(query.where(PAYLOADS.c.transaction_id.in_(transaction_ids), at <= until)):
            place = (row.said_at, stream, row.name)
            if (stream == _REPORTS or _by_human(row)) and place > latest.get(row.transaction_id, (0, -1, "")):
                latest[row.transaction_id] = place
    return latest


def _by_human(row: Any) -> bool:
    """Whether the decision that a case hangs on is the verdict of a person."""
    return DecisionFacts.FromString(row.facts).decision_maker == pb.DECISION_MAKER_HUMAN


def _second_verdicts(connection: Connection, first_looks: Collection[str]) -> dict[str, int]:
    """The verdicts of second looks by the case that they are about."""
    if not first_looks:
        return {}
    query = sa.select(CASES.c.review_of, CASES.c.verdict).where(
        CASES.c.round == 2, CASES.c.status == cases.CASE_STATUS_RESOLVED, CASES.c.review_of.in_(first_looks)
    )
    return {row.review_of: row.verdict for row in connection.execute(query)}


def _known(stream: int, row: Any, second: Mapping[str, int]) -> Known:
    common = (row.transaction_id, row.sequence, row.said_at)
    if stream == _SILENCE:
        return Known(*common, False, "", SILENCE, SILENCE_CONFIDENCE)
    if stream == _VERDICTS:
        confidence = _confidence(row.verdict, second.get(row.about))
        return Known(*common, row.verdict == pb.DECISION_DENY, row.abuse_type, VERDICT, confidence)
    is_abuse = row.kind != outcomes.OUTCOME_KIND_CONFIRMED_GOOD
    return Known(*common, is_abuse, row.abuse_type, row.source, REPORT_CONFIDENCE[row.kind])


def _confidence(verdict: int, second: int | None) -> float:
    """How sure a verdict is, given that of a second look, if there was one."""
    if second is None:
        return VERDICT_CONFIDENCE
    return AGREED_CONFIDENCE if verdict == second else DISPUTED_CONFIDENCE


def labelled(known: Sequence[Known]) -> Query[list[cases.ExportLabelsResponse]]:
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
