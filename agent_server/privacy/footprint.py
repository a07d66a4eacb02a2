"""What the ledger holds of a person: its amount, and its export."""

from dataclasses import dataclass

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.engine import Connection

from agent_server.cases.queries import case_of, cases_on, events_of
from agent_server.cases.tables import CASES
from agent_server.feedback.outcomes import outcomes_by_decision
from agent_server.ledger.attempts import digests
from agent_server.ledger.chain import Kind
from agent_server.ledger.queries import DECIDED, Query
from agent_server.ledger.records import record_of
from agent_server.ledger.schema import ATTEMPTS, ENTRIES, FOLDED, FOLDED_DEVICES, MEMORY, PAYLOADS, REPLACED_ATTEMPTS
from agent_server.privacy.erasing import CHUNK
from generated.vouch.v1.privacy_service_pb2 import AccountTotals, ExportPersonResponse, RememberedOrder
from history.definitions import AMOUNT_UNITS


@dataclass(frozen=True)
class Footprint:
    """The amount of data on a person; times in microseconds since 1970, None if there are no decisions."""

    decisions: int
    cases: int
    first: int | None
    last: int | None
    remembered: int = 0
    """Orders in history, with imported ones and replaced contents."""
    folded: int = 0
    """Orders in the account's totals."""

    def __bool__(self) -> bool:
        """Whether there is any data."""
        return bool(self.decisions or self.cases or self.remembered or self.folded)


def footprint(user_id: str) -> Query[Footprint]:
    """Return a query for the amount of data on a person."""
    own, real = PAYLOADS.c.user_id == user_id, ENTRIES.c.kind == int(Kind.DECISION)
    decided = sa.select(sa.func.count(), sa.func.min(ENTRIES.c.at), sa.func.max(ENTRIES.c.at)).select_from(
        PAYLOADS.join(ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence)
    )
    case_count = sa.select(sa.func.count()).select_from(CASES.join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence))
    case_count = case_count.where(CASES.c.golden == 0)

    def read(connection: Connection) -> Footprint:
        user = _digest(connection, user_id)
        count, first, last = connection.execute(decided.where(own, real)).one()
        remembered = sa.select(sa.func.count()).select_from(_attempts_of(user).subquery())
        totals = connection.execute(sa.select(FOLDED.c.orders).where(FOLDED.c.user_id == user)).scalar()
        return Footprint(
            count, connection.execute(case_count.where(own)).scalar_one(), first, last,
            connection.execute(remembered).scalar_one(), 0 if totals is None else max(int(totals), 1),
        )  # fmt: skip

    return read


def export_records(user_id: str, after: int) -> Query[list[ExportPersonResponse]]:
    """Return a query for up to CHUNK records of a person after a sequence number, oldest first."""
    query = DECIDED.where(
        PAYLOADS.c.user_id == user_id, ENTRIES.c.sequence > after, ENTRIES.c.kind == int(Kind.DECISION)
    ).order_by(ENTRIES.c.sequence)

    def read(connection: Connection) -> list[ExportPersonResponse]:
        rows = connection.execute(query.limit(CHUNK)).all()
        case_count = cases_on(connection, [row.sequence for row in rows])
        reported = outcomes_by_decision(connection, [row.sequence for row in rows])
        answers = []
        for row in rows:
            answer = ExportPersonResponse(record=record_of(row))
            first, *others = case_count.get(row.sequence, [None])
            if first is not None:
                answer.case.CopyFrom(case_of(first))
            for case in (first, *others) if first is not None else ():
                answer.events.extend(events_of(connection, case))
            answer.outcomes.extend(reported.get(row.sequence, ()))
            answers.append(answer)
        return answers

    return read


def orders_in_history(user_id: str, after: int | None) -> Query[tuple[list[RememberedOrder], int | None]]:
    """Return a query for up to CHUNK of a person's orders in history, by their numbers, and for the last number."""

    def read(connection: Connection) -> tuple[list[RememberedOrder], int | None]:
        attempts = _attempts_of(_digest(connection, user_id)).subquery()
        query = sa.select(attempts).order_by(attempts.c.number).limit(CHUNK)
        rows = connection.execute(query if after is None else query.where(attempts.c.number > after)).all()
        orders = [
            RememberedOrder(
                ordered_at=Timestamp(seconds=row.at),
                order_amount=None if row.amount is None else row.amount / AMOUNT_UNITS,
                denied=not row.counts,
            )
            for row in rows
        ]
        return orders, rows[-1].number if len(rows) == CHUNK else None

    return read


def totals_of(user_id: str) -> Query[AccountTotals | None]:
    """Return a query for the totals of the account's compacted orders; it returns None for none."""

    def read(connection: Connection) -> AccountTotals | None:
        user = _digest(connection, user_id)
        row = connection.execute(sa.select(FOLDED).where(FOLDED.c.user_id == user)).first()
        if row is None:
            return None
        devices = sa.select(sa.func.count()).select_from(FOLDED_DEVICES).where(FOLDED_DEVICES.c.user_id == user)
        totals = AccountTotals(
            orders=row.orders, amount=row.units / AMOUNT_UNITS, last=Timestamp(seconds=row.last),
            devices=connection.execute(devices).scalar_one(),
        )  # fmt: skip
        if row.first is not None:
            totals.first.CopyFrom(Timestamp(seconds=row.first))
        return totals

    return read


def _attempts_of(user: int | None) -> sa.CompoundSelect[tuple[int, int, int | None, bool]]:
    """Select the attempts of an account, with contents of its orders that were replaced before they were decided."""
    placed = sa.select(ATTEMPTS.c.number, ATTEMPTS.c.at, ATTEMPTS.c.amount, ATTEMPTS.c.counts)
    table = REPLACED_ATTEMPTS.c
    replaced = sa.select(table.number, table.at, table.amount, sa.true().label("counts"))
    return placed.where(ATTEMPTS.c.user_id == user).union_all(replaced.where(table.user_id == user))


def _digest(connection: Connection, user_id: str) -> int | None:
    """Return the digest that history stores instead of the account's id."""
    key = bytes(connection.execute(sa.select(MEMORY.c.key)).scalar_one())
    return digests(key, {"user": user_id})["user"]
