"""The export of history as rows: each decision with its order and its numbers, and attempts without a decision."""

import datetime as dt
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.tables import CASES
from agent_server.ledger.attempts import digests
from agent_server.ledger.records import order_of
from agent_server.ledger.schema import ATTEMPTS, ENTRIES, MEMORY, PAYLOADS, REPLACED_ATTEMPTS
from contract.fields import FIELDS
from contract.messages import row_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from history.definitions import AMOUNT_UNITS, NEEDED

AT_ONCE: Final = 2000
Row = dict[str, Any]
_DECIDED = (
    sa.select(ENTRIES.c.sequence, ENTRIES.c.decision, ENTRIES.c.facts, PAYLOADS)
    .join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence)
    .where(PAYLOADS.c.memory_number.is_not(None))
)


def export_rows(connection: Connection) -> Iterator[list[Row]]:
    """Yield chunks of rows in the ledger's order, then the attempts without a decision.

    Of the latter only digests are known, and the texts that another order shares. Erased and compacted attempts are not
    exported.
    """
    key, since, folded_until = connection.execute(sa.select(MEMORY.c.key, MEMORY.c.since, MEMORY.c.folded_until)).one()
    start = {"memory_since": max(since, folded_until)}
    undecided = _undecided_attempts(connection)
    named = ("transaction_id", *NEEDED)
    wanted = {row[name] for row in undecided for name in named} - {None}
    texts: dict[int, str] = {}
    revealed = _reveal_numbers(connection)
    repeated, places = set[int](), _DecisionPlaces(connection)
    for rows in _in_order(connection, _DECIDED):
        piece = []
        for row in rows:
            order, facts = order_of(row), DecisionFacts.FromString(row.facts)
            for name, digest in digests(key, {name: getattr(order, name) or None for name in named}).items():
                if digest is not None and digest in wanted:
                    texts[digest] = getattr(order, name)
            numbers = _numbers(facts, places.of(row.sequence, facts)) | revealed.get(row.sequence, {})
            fields = {name: value for name, value in row_of(order).items() if name in FIELDS}  # extras have no column
            decided_row = fields | start | numbers | {"denied": row.decision == pb.DECISION_DENY}
            number = facts.memory_number
            arrived_before = numbers["memory_read"] not in (None, number)  # and nothing was decided then
            if arrived_before and number not in repeated:
                repeated.add(number)
                piece.append(decided_row | _attempt_numbers(number))
            piece.append(decided_row)
        yield piece
    yield [_undecided_row(row, texts) | start for row in undecided]


def _undecided_attempts(connection: Connection) -> list[Mapping[str, Any]]:
    """Return attempts that were never decided: those that are their order's attempt, and those that were replaced."""
    placed = sa.select(ATTEMPTS).where(
        ATTEMPTS.c.user_id.is_not(None), ~sa.exists().where(PAYLOADS.c.memory_number == ATTEMPTS.c.number)
    )
    rows = [*connection.execute(placed), *connection.execute(sa.select(REPLACED_ATTEMPTS))]
    return [row._asdict() for row in rows]


def _in_order(connection: Connection, chosen: sa.Select[Any]) -> Iterator[list[Any]]:
    last = 0
    in_order = chosen.order_by(ENTRIES.c.sequence).limit(AT_ONCE)
    while rows := list(connection.execute(in_order.where(ENTRIES.c.sequence > last))):
        last = rows[-1].sequence
        yield rows


def _reveal_numbers(connection: Connection) -> dict[int, Row]:
    """Return when verdicts that a blind review had hidden began to count; None for those that do not count."""
    query = sa.select(CASES.c.hidden_entry, CASES.c.counts_from).where(CASES.c.counts_from.is_not(None))
    return {
        row.hidden_entry: {"memory_kept": row.counts_from if row.counts_from > 0 else None}
        for row in connection.execute(query)
    }


class _DecisionPlaces:
    """The places of decisions in history, in attempts.

    A decision that was recorded beside attempts has its place in the chain only, and so have the features of orders: the
    number of entries that were seen. Both orders agree, since the next attempt is read at the earliest when the one
    before it was. So a decision is placed after the latest features that do not reflect it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, sequence: int, facts: DecisionFacts) -> int:
        """Return the number of attempts whose features do not reflect a decision."""
        if facts.memory_kept:
            return facts.memory_kept
        seen, reads = self._reads
        earlier = bisect_left(seen, sequence)
        return max(facts.memory_number, reads[earlier - 1]) if earlier else facts.memory_number

    @cached_property
    def _reads(self) -> tuple[Sequence[int], Sequence[int]]:
        """The entries seen by each query for features, in ascending order, and the attempts at that time."""
        found = []
        decided = _DECIDED.with_only_columns(ENTRIES.c.sequence, ENTRIES.c.facts)
        for rows in _in_order(self._connection, decided):
            for row in rows:
                facts = DecisionFacts.FromString(row.facts)
                if facts.decision_maker != pb.DECISION_MAKER_HUMAN:
                    found.append((facts.memory_seen, facts.memory_read))
        found.sort()
        return array("q", [seen for seen, _ in found]), array("q", [read for _, read in found])


def _numbers(facts: DecisionFacts, place: int) -> Row:
    """Return a decision's numbers. A person's verdict reads no features."""
    read = facts.memory_read if facts.decision_maker != pb.DECISION_MAKER_HUMAN else None
    return {"memory_number": facts.memory_number, "memory_read": read, "memory_kept": place}


def _attempt_numbers(number: int) -> Row:
    """Return the numbers of an attempt that was not decided, or not at once."""
    return {"memory_number": number, "memory_read": None, "memory_kept": None, "denied": None}


def _undecided_row(row: Mapping[str, Any], texts: Mapping[int, str]) -> Row:
    named = ("transaction_id", *NEEDED)
    names = {name: None if row[name] is None else texts.get(row[name], f"digest:{row[name]:x}") for name in named}
    values = {
        "timestamp": dt.datetime.fromtimestamp(row["at"], dt.UTC),
        "order_amount": None if row["amount"] is None else row["amount"] / AMOUNT_UNITS,
    }
    return dict.fromkeys(FIELDS) | names | values | _attempt_numbers(row["number"])
