"""Queries for decisions in the ledger, as messages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.pages import ROWS_AT_ONCE, Page
from agent_server.ledger.chain import Kind
from agent_server.ledger.records import record_of
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts

T = TypeVar("T")
ROWS_EXAMINED = 20_000
"""Limit of the decisions that are read for one page."""
Query = Callable[[Connection], T]
"""A function that reads from a connection and returns its result."""

_ENTRY = (
    ENTRIES.c.sequence, ENTRIES.c.kind, ENTRIES.c.entry_id, ENTRIES.c.at, ENTRIES.c.decision, ENTRIES.c.facts
)  # fmt: skip
_PAYLOAD = (PAYLOADS.c.transaction_id, PAYLOADS.c.user_id, PAYLOADS.c.payload)
DECIDED = sa.select(*_ENTRY, *_PAYLOAD).join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence)
"""Decisions that were not erased."""
RECORDED = sa.select(*_ENTRY, *_PAYLOAD).join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence, isouter=True)
"""All decisions."""


class View(Protocol):
    """What a caller may see of decisions."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """Kinds of entries that lists contain."""

    def restrict(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """Return a query of DECIDED or RECORDED without the decisions that the caller must not see."""

    def record(self, row: Any) -> pb.DecisionRecord:
        """Return the record of a row of such a query, without what the caller must not see."""


class FullView:
    """All decisions on orders of the shop, complete."""

    kinds: Sequence[Kind] = (Kind.DECISION,)

    def restrict(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """See View."""
        return query

    def record(self, row: Any) -> pb.DecisionRecord:
        """See View."""
        return record_of(row)


FULL_VIEW = FullView()


def latest_record(
    transaction_id: str, view: View = FULL_VIEW, *, golden: bool = True
) -> Query[pb.DecisionRecord | None]:
    """Return a query for the latest decision on a transaction; it returns None for none.

    Without `golden`, decisions on golden orders do not count. No golden order has the id of an order of the shop,
    except in ledgers of old versions; then the query returns the decision on the shop's order.
    """
    is_golden = ENTRIES.c.kind == int(Kind.GOLDEN)
    query = DECIDED.where(PAYLOADS.c.transaction_id == transaction_id)
    query = query.order_by(is_golden, ENTRIES.c.sequence.desc()).limit(1)
    if not golden:
        query = query.where(sa.not_(is_golden))
    query = view.restrict(query)

    def read(connection: Connection) -> pb.DecisionRecord | None:
        row = connection.execute(query).first()
        return None if row is None else view.record(row)

    return read


@dataclass(frozen=True)
class DecisionFilter:
    """Which decisions are listed, and in which order. Empty and None mean any. Times are in microseconds since 1970."""

    transaction_id: str = ""
    user_id: str = ""
    since: int | None = None
    until: int | None = None
    decision: int = 0
    model_version: str = ""
    policy_version: str = ""
    newest_first: bool = False

    def matches(self, row: Any) -> bool:
        """Return whether a row has the model and policy of the filter, which are not columns but facts."""
        if not (self.model_version or self.policy_version):
            return True
        facts = DecisionFacts.FromString(row.facts)
        return self.model_version in ("", facts.model_version) and self.policy_version in ("", facts.policy_version)


def record_page(
    filters: DecisionFilter, after: int | None, size: int, view: View = FULL_VIEW
) -> Query[tuple[list[pb.DecisionRecord], int | None]]:
    """Return a query for records after the sequence number `after`, and for the number after which to read on.

    Sequence numbers are committed in order, so a page in ascending order never skips a record that is written later. A
    page may be short if it filters by model or policy, since at most ROWS_EXAMINED rows are read, or if records are
    large: see Page.
    """
    kinds = [int(kind) for kind in view.kinds]
    query = view.restrict(_apply_filters(filters, RECORDED.where(ENTRIES.c.kind.in_(kinds))))
    place = ENTRIES.c.sequence
    ordered = query.order_by(place.desc() if filters.newest_first else place)

    def read(connection: Connection) -> tuple[list[pb.DecisionRecord], int | None]:
        page = Page[pb.DecisionRecord](size)
        last, examined, at_once = after, 0, min(size, ROWS_AT_ONCE)
        while examined < ROWS_EXAMINED:
            behind = ordered if last is None else ordered.where(place < last if filters.newest_first else place > last)
            rows = connection.execute(behind.limit(at_once + 1)).all()
            for row in rows[:at_once]:
                if filters.matches(row) and not page.add(view.record(row)):
                    return page.messages, last
                last, examined = row.sequence, examined + 1
                if page.is_full:
                    return page.messages, last if len(rows) > at_once or row is not rows[-1] else None
            if len(rows) <= at_once:
                return page.messages, None
        return page.messages, last

    return read


def _apply_filters(filters: DecisionFilter, query: sa.Select[Any]) -> sa.Select[Any]:
    if filters.transaction_id:
        query = query.where(PAYLOADS.c.transaction_id == filters.transaction_id)
    if filters.user_id:
        query = query.where(PAYLOADS.c.user_id == filters.user_id)
    if filters.since is not None:
        query = query.where(ENTRIES.c.at >= filters.since)
    if filters.until is not None:
        query = query.where(ENTRIES.c.at < filters.until)
    if filters.decision:
        query = query.where(ENTRIES.c.decision == filters.decision)
    return query
