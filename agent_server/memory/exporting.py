"""What memory is made of, as rows: every decision with its order and its numbers, and attempts on which nothing was decided."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.ledger.records import order_of
from agent_server.ledger.schema import ATTEMPTS, CASES, ENTRIES, MEMORY, PAYLOADS
from agent_server.memory.recall import digests
from contract.fields import FIELDS
from contract.messages import row_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from history.definitions import AMOUNT_UNITS, NEEDED

AT_ONCE: Final = 2000
Row = dict[str, Any]
_Kept = dict[int, list[tuple[int, int]]]
_DECIDED = (
    sa.select(ENTRIES.c.sequence, ENTRIES.c.decision, ENTRIES.c.facts, PAYLOADS)
    .join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence)
    .where(PAYLOADS.c.memory_number.is_not(None))
)


def exported(connection: Connection) -> Iterator[list[Row]]:
    """Rows in the ledger's order, in pieces, then those of attempts without a decision: of these only digests are known, and
    the texts where another order has them. What was erased or folded is not there.
    """
    key, since, folded_until = connection.execute(sa.select(MEMORY.c.key, MEMORY.c.since, MEMORY.c.folded_until)).one()
    start = {"memory_since": max(since, folded_until)}
    undecided = connection.execute(
        sa.select(ATTEMPTS).where(
            ATTEMPTS.c.user_id.is_not(None),
            ~sa.exists().where(PAYLOADS.c.memory_number == ATTEMPTS.c.number),
        )
    ).all()
    wanted = {getattr(row, name) for row in undecided for name in NEEDED} - {None}
    texts: dict[int, str] = {}
    kept: _Kept = {}
    shown = _shown(connection)
    again = set[int]()
    for rows in _decided(connection):
        piece = []
        for row in rows:
            order, facts = order_of(row), DecisionFacts.FromString(row.facts)
            told = digests(key, {"": order.transaction_id, **{name: getattr(order, name) or None for name in NEEDED}})
            texts |= {told[name]: getattr(order, name) for name in NEEDED if told[name] in wanted}  # type: ignore[misc]
            own = told[""] or 0
            numbers = _numbers(facts, kept.get(own, [])) | shown.get(row.sequence, {})
            if facts.decision_maker != pb.DECISION_MAKER_HUMAN:
                kept.setdefault(own, []).append((facts.memory_kept, facts.memory_number))
            fields = {name: value for name, value in row_of(order).items() if name in FIELDS}  # extras have no column
            told_row = fields | start | numbers | {"denied": row.decision == pb.DECISION_DENY}
            number = facts.memory_number
            asked_before = numbers["memory_read"] not in (None, number)  # and nothing was decided then
            if asked_before and number not in again:
                again.add(number)
                piece.append(told_row | _entered(number, kept.get(own, [])))
            piece.append(told_row)
        yield piece
    yield [_undecided(row._asdict(), texts, kept) | start for row in undecided]


def _decided(connection: Connection) -> Iterator[list[Any]]:
    last = 0
    in_order = _DECIDED.order_by(ENTRIES.c.sequence).limit(AT_ONCE)
    while rows := list(connection.execute(in_order.where(ENTRIES.c.sequence > last))):
        last = rows[-1].sequence
        yield rows


def _shown(connection: Connection) -> dict[int, Row]:
    """When verdicts began to count that were hidden until another look was done; by now no reading saw those that still are."""
    now = int(connection.execute(sa.select(MEMORY.c.number)).scalar_one())
    query = sa.select(CASES.c.hidden_entry, CASES.c.counts_from).where(CASES.c.counts_from.is_not(None))
    return {row.hidden_entry: {"memory_kept": row.counts_from or now} for row in connection.execute(query)}


def _numbers(facts: DecisionFacts, kept: list[tuple[int, int]]) -> Row:
    """A decision's numbers. A person's verdict reads nothing anew."""
    read = facts.memory_read if facts.decision_maker != pb.DECISION_MAKER_HUMAN else None
    return {
        "memory_number": facts.memory_number,
        "memory_read": read,
        "memory_kept": facts.memory_kept,
        "memory_replaces": _replaced(facts.memory_number, read or facts.memory_number, kept),
    }


def _replaced(number: int, read: int, kept: list[tuple[int, int]]) -> str | None:
    """The attempts that one took the place of when it was read: those of all decisions on the same order by then."""
    before = {other for at, other in kept if at < read} - {number, 0}
    return " ".join(map(str, sorted(before))) or None


def _entered(number: int, kept: list[tuple[int, int]]) -> Row:
    """The numbers of an attempt on which nothing was decided, or not at once."""
    return {
        "memory_number": number, "memory_read": None, "memory_kept": None,
        "memory_replaces": _replaced(number, number, kept), "denied": None,
    }  # fmt: skip


def _undecided(row: Mapping[str, Any], texts: Mapping[int, str], kept: _Kept) -> Row:
    names = {name: None if row[name] is None else texts.get(row[name], f"digest:{row[name]:x}") for name in NEEDED}
    told = {
        "transaction_id": f"digest:{row['transaction_id'] or 0:x}",
        "timestamp": dt.datetime.fromtimestamp(row["at"], dt.UTC),
        "order_amount": None if row["amount"] is None else row["amount"] / AMOUNT_UNITS,
    }
    return dict.fromkeys(FIELDS) | names | told | _entered(row["number"], kept.get(row["transaction_id"], []))
