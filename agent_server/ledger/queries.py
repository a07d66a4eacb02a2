"""Decisions that are read from the ledger, in messages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.pages import ROWS_AT_ONCE, Page
from agent_server.ledger.chain import Kind
from agent_server.ledger.records import record_of
from agent_server.ledger.schema import CASES, ENTRIES, PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts

T = TypeVar("T")
LOOKED_THROUGH = 20_000
"""So many decisions are looked through for one page."""
Query = Callable[[Connection], T]
"""What is read with a connection, and what it gives."""

_ENTRY = (
    ENTRIES.c.sequence, ENTRIES.c.kind, ENTRIES.c.entry_id, ENTRIES.c.at, ENTRIES.c.decision, ENTRIES.c.facts
)  # fmt: skip
_PAYLOAD = (PAYLOADS.c.transaction_id, PAYLOADS.c.user_id, PAYLOADS.c.payload)
DECIDED = sa.select(*_ENTRY, *_PAYLOAD).join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence)
"""Decisions that were not erased."""
RECORDED = sa.select(*_ENTRY, *_PAYLOAD).join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence, isouter=True)
"""All decisions."""


_UNRESOLVED = CASES.c.status.in_((cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED))
_HIDDEN = sa.select(CASES.c.hidden_entry).where(_UNRESOLVED, CASES.c.hidden_entry.is_not(None))
_JUDGED = sa.select(CASES.c.sequence).where(_UNRESOLVED, CASES.c.round > 1)


def latest_record(transaction_id: str, *, blind: bool = False, golden: bool = True) -> Query[pb.DecisionRecord | None]:
    """The latest decision of a transaction; `blind` as somebody may see it who has to judge anew what another judged.

    Without `golden` those on golden orders are none. One has no id of a real order; in ledgers of old versions it may, and then
    the real one is meant.
    """
    is_golden = ENTRIES.c.kind == int(Kind.GOLDEN)
    query = DECIDED.where(PAYLOADS.c.transaction_id == transaction_id)
    query = query.order_by(is_golden, ENTRIES.c.sequence.desc()).limit(1)
    if not golden:
        query = query.where(sa.not_(is_golden))
    if blind:
        query = blinded(query)

    def read(connection: Connection) -> pb.DecisionRecord | None:
        row = connection.execute(query).first()
        return None if row is None else record_as_seen(row, blind)

    return read


def first_hidden() -> Query[int | None]:
    """The first entry that is hidden from those who review; None where there is none."""
    query = sa.select(sa.func.min(CASES.c.hidden_entry)).where(_UNRESOLVED)
    return lambda connection: connection.execute(query).scalar()


def blinded(query: sa.Select[Any]) -> sa.Select[Any]:
    """Decisions as somebody may see them who has to judge anew what another judged: without those that are hidden."""
    return query.where(ENTRIES.c.sequence.not_in(_HIDDEN)).add_columns(ENTRIES.c.sequence.in_(_JUDGED).label("judged"))


def record_as_seen(row: Any, blind: bool) -> pb.DecisionRecord:
    """A record from a row of DECIDED or RECORDED; `blind` where the query is `blinded`."""
    record = record_of(row)
    if blind and row.judged:
        without_advice(record.answer)
    return record


def without_advice(answer: pb.ReviewResponse) -> pb.ReviewResponse:
    """The answer, from which what the agent recommends was taken, and why."""
    answer.reasoning = ""
    answer.ClearField("agent_analysis")
    answer.ml_prediction.ClearField("prediction")
    return answer


@dataclass(frozen=True)
class DecisionFilter:
    """Which decisions are looked for, and in which order; empty and None mean any. Times are in microseconds since 1970."""

    transaction_id: str = ""
    user_id: str = ""
    since: int | None = None
    until: int | None = None
    decision: int = 0
    model_version: str = ""
    policy_version: str = ""
    newest_first: bool = False

    def fits(self, row: Any) -> bool:
        """Whether a row was made with the model and policy that are looked for: facts say so, no column."""
        if not (self.model_version or self.policy_version):
            return True
        facts = DecisionFacts.FromString(row.facts)
        return self.model_version in ("", facts.model_version) and self.policy_version in ("", facts.policy_version)


def record_page(
    wanted: DecisionFilter, after: int | None, size: int, *, blind: bool = False
) -> Query[tuple[list[pb.DecisionRecord], int | None]]:
    """Records behind the sequence number `after`, and the number that the next page starts behind.

    Sequences are committed in their order, so oldest first a page never skips what is written later. A page may be short where
    model or policy are looked for, since no more than LOOKED_THROUGH rows are, and where records are large: see Page. `blind`
    as in `latest_record`: then decisions on golden orders are among the others.
    """
    kinds = (int(Kind.DECISION), int(Kind.GOLDEN)) if blind else (int(Kind.DECISION),)
    query = _looked_for(wanted, RECORDED.where(ENTRIES.c.kind.in_(kinds)))
    if blind:
        query = blinded(query)
    place = ENTRIES.c.sequence
    ordered = query.order_by(place.desc() if wanted.newest_first else place)

    def read(connection: Connection) -> tuple[list[pb.DecisionRecord], int | None]:
        page = Page[pb.DecisionRecord](size)
        last, looked, at_once = after, 0, min(size, ROWS_AT_ONCE)
        while looked < LOOKED_THROUGH:
            behind = ordered if last is None else ordered.where(place < last if wanted.newest_first else place > last)
            rows = connection.execute(behind.limit(at_once + 1)).all()
            for row in rows[:at_once]:
                if wanted.fits(row) and not page.add(record_as_seen(row, blind)):
                    return page.messages, last
                last, looked = row.sequence, looked + 1
                if page.is_full:
                    return page.messages, last if len(rows) > at_once or row is not rows[-1] else None
            if len(rows) <= at_once:
                return page.messages, None
        return page.messages, last

    return read


def _looked_for(wanted: DecisionFilter, query: sa.Select[Any]) -> sa.Select[Any]:
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
    return query


MAY_BE_RESCORED = (
    CASES.c.reason == cases.CASE_REASON_UNSCORED, _UNRESOLVED, CASES.c.legitimacy_score.is_(None),
    CASES.c.round == 1, sa.not_(CASES.c.held), CASES.c.golden == 0,
)  # fmt: skip
"""Of a case: nobody has judged its order, one person may, and it was never scored."""


def unscored_cases(size: int, after: int = 0) -> Query[list[tuple[str, Any]]]:
    """Cases without a score that nobody has judged, each with the row of its decision: those behind `after`, oldest first.

    No second or third looks, and none that needs two people: what these are about, people decide.
    """
    columns = sa.select(CASES.c.case_id, *_ENTRY, *_PAYLOAD, PAYLOADS.c.content_digest)
    query = (
        columns.join(ENTRIES, ENTRIES.c.sequence == CASES.c.sequence)
        .join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence)
        .where(
            CASES.c.sequence > after,
            *MAY_BE_RESCORED,
        )
        .order_by(CASES.c.sequence)
        .limit(size)
    )

    def read(connection: Connection) -> list[tuple[str, Any]]:
        return [(row.case_id, row) for row in connection.execute(query)]

    return read
