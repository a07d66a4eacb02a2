"""Telling and forgetting persons. What is erased leaves the chain valid: an entry says which decisions it was."""

import time
import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.cases.outcomes import outcomes_on
from agent_server.cases.queries import case_of, cases_on, events_of
from agent_server.database.engine import file_of
from agent_server.ledger.attempts import FORGOTTEN, digests
from agent_server.ledger.chain import Kind
from agent_server.ledger.golden_copies import copies_of, forget_origins
from agent_server.ledger.group import Group
from agent_server.ledger.queries import DECIDED, Query
from agent_server.ledger.records import record_of
from agent_server.ledger.schema import (
    ATTEMPTS,
    CASE_EVENTS,
    CASES,
    ENTRIES,
    FOLDED,
    FOLDED_DEVICES,
    OUTCOMES,
    PAYLOADS,
    REPLACED_ATTEMPTS,
)
from generated.vouch.v1.ledger_entry_pb2 import ErasureFacts
from generated.vouch.v1.privacy_service_pb2 import ExportPersonResponse

CHUNK = 500
"""Decisions that are read or erased at once, so that others are not kept waiting."""
_CHECKPOINTS = 20


@dataclass(frozen=True)
class Footprint:
    """How much is kept of a person; times in microseconds since 1970, None where there is nothing."""

    decisions: int
    cases: int
    first: int | None
    last: int | None


def footprint(user_id: str) -> Query[Footprint]:
    """How much is kept of a person."""
    own, real = PAYLOADS.c.user_id == user_id, ENTRIES.c.kind == int(Kind.DECISION)
    decided = sa.select(sa.func.count(), sa.func.min(ENTRIES.c.at), sa.func.max(ENTRIES.c.at)).select_from(
        PAYLOADS.join(ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence)
    )
    hanging = sa.select(sa.func.count()).select_from(CASES.join(PAYLOADS, PAYLOADS.c.sequence == CASES.c.sequence))
    hanging = hanging.where(CASES.c.golden == 0)

    def read(connection: Connection) -> Footprint:
        count, first, last = connection.execute(decided.where(own, real)).one()
        return Footprint(count, connection.execute(hanging.where(own)).scalar_one(), first, last)

    return read


def told(user_id: str, after: int) -> Query[list[ExportPersonResponse]]:
    """Up to CHUNK records of a person behind a sequence number, oldest first."""
    query = DECIDED.where(
        PAYLOADS.c.user_id == user_id, ENTRIES.c.sequence > after, ENTRIES.c.kind == int(Kind.DECISION)
    ).order_by(ENTRIES.c.sequence)

    def read(connection: Connection) -> list[ExportPersonResponse]:
        rows = connection.execute(query.limit(CHUNK)).all()
        hanging = cases_on(connection, [row.sequence for row in rows])
        reported = outcomes_on(connection, [row.sequence for row in rows])
        answers = []
        for row in rows:
            answer = ExportPersonResponse(record=record_of(row))
            first, *others = hanging.get(row.sequence, [None])
            if first is not None:
                answer.case.CopyFrom(case_of(first))
            for case in (first, *others) if first is not None else ():
                answer.events.extend(events_of(connection, case))
            answer.outcomes.extend(reported.get(row.sequence, ()))
            answers.append(answer)
        return answers

    return read


class Erase:
    """Erases up to CHUNK payloads: those of a person, or those of decisions before a moment. Gives how many."""

    def __init__(self, *, user_id: str = "", before: int | None = None) -> None:
        self._user_id, self._before = user_id, before

    def __call__(self, group: Group) -> int:
        """Erase, and append what was."""
        rows = group.execute(self._chosen(group).order_by(PAYLOADS.c.sequence).limit(CHUNK)).all()
        if len(rows) < CHUNK:  # the last ones
            group.execute(ATTEMPTS.update().where(*self._remembered(group)).values(FORGOTTEN))
            group.execute(REPLACED_ATTEMPTS.delete().where(*self._replaced(group)))
            group.forget_places()
            folded = sa.select(FOLDED.c.user_id).where(*self._folded(group))
            group.execute(FOLDED_DEVICES.delete().where(FOLDED_DEVICES.c.user_id.in_(folded)))
            group.execute(FOLDED.delete().where(*self._folded(group)))
        if not rows:
            return 0
        sequences = [row.sequence for row in rows]
        group.execute(PAYLOADS.delete().where(PAYLOADS.c.sequence.in_(sequences)))
        group.execute(OUTCOMES.delete().where(OUTCOMES.c.sequence.in_(sequences)))
        forget_origins(group, sequences)
        hanging = sa.select(CASES.c.case_id).where(CASES.c.sequence.in_(sequences))
        group.execute(CASE_EVENTS.update().where(CASE_EVENTS.c.case_id.in_(hanging)).values(text=""))
        group.execute(CASES.update().where(CASES.c.sequence.in_(sequences)).values(note="", expected_loss=0.0))
        facts = ErasureFacts(decision_ids=[row.entry_id for row in rows]).SerializeToString()
        group.append(Kind.ERASURE, uuid.uuid4().hex, time.time_ns() // 1000, facts)
        return len(rows)

    def _chosen(self, group: Group) -> sa.Select[tuple[int, str]]:
        chosen = sa.select(PAYLOADS.c.sequence, ENTRIES.c.entry_id).join(
            ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence
        )
        if self._user_id:
            person = digests(group.memory_key, {"user": self._user_id})["user"]
            copies = PAYLOADS.c.sequence.in_(copies_of(person or 0))
            chosen = chosen.where(sa.or_(PAYLOADS.c.user_id == self._user_id, copies))
        if self._before is not None:
            chosen = chosen.where(ENTRIES.c.at < self._before)
        return chosen

    def _remembered(self, group: Group) -> list[sa.ColumnElement[bool]]:
        chosen: list[sa.ColumnElement[bool]] = [ATTEMPTS.c.user_id.is_not(None)]
        if self._user_id:
            chosen.append(ATTEMPTS.c.user_id == digests(group.memory_key, {"user": self._user_id})["user"])
        if self._before is not None:
            chosen.append(ATTEMPTS.c.at < self._before // 1_000_000)
        return chosen

    def _replaced(self, group: Group) -> list[sa.ColumnElement[bool]]:
        chosen: list[sa.ColumnElement[bool]] = []
        if self._user_id:
            chosen.append(REPLACED_ATTEMPTS.c.user_id == digests(group.memory_key, {"user": self._user_id})["user"])
        if self._before is not None:
            chosen.append(REPLACED_ATTEMPTS.c.at < self._before // 1_000_000)
        return chosen

    def _folded(self, group: Group) -> list[sa.ColumnElement[bool]]:
        chosen: list[sa.ColumnElement[bool]] = []
        if self._user_id:
            chosen.append(FOLDED.c.user_id == digests(group.memory_key, {"user": self._user_id})["user"])
        if self._before is not None:
            chosen.append(FOLDED.c.last < self._before // 1_000_000)
        return chosen


def scrub(engine: Engine) -> bool:
    """Make sure that no copy of what was erased is left in logs and dead rows of the database; False where others hinder it."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(
                sa.text(
                    "VACUUM payloads, attempts, replaced_attempts, folded, folded_devices, cases, case_events, outcomes"
                )
            )
        return True
    if file_of(engine) is None:
        return True
    driver = engine.raw_connection()
    try:
        for _ in range(_CHECKPOINTS):  # readers of old states keep the log from being emptied
            busy = driver.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                return True
            time.sleep(0.1)
        return False
    finally:
        driver.close()
