"""The feed of changes to cases. One task of a process reads them from the ledger for all its watchers.

Changes are numbered in the order of commits. So a watcher that resumes from the number of its last change misses none,
at any agent.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.cases.queries import case_of, case_rows
from agent_server.cases.tables import CASE_CHANGES
from agent_server.ledger import Ledger
from agent_server.ledger.queries import Query
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.errors import InvalidRequest, Unavailable

POLL_SECONDS = 0.1
KEEPALIVE_SECONDS = 20.0
"""Watchers get an empty message after this time without a change, which keeps their connections open."""
MAX_CHANGES = 100_000
"""Limit of stored changes. A watcher with an older cursor has to list the cases again."""
_BUFFER_SIZE, _BATCH_SIZE = 2000, 500


@dataclass(frozen=True)
class Change:
    """A change to a case, and the case's row at the time of reading; None if the case no longer exists."""

    number: int
    kind: cases.CaseEventKind
    row: Any

    def to_proto(self, viewer: str | None) -> cases.WatchCasesResponse:
        """Return the change as a viewer may see it."""
        case = None if self.row is None else case_of(self.row, viewer)
        return cases.WatchCasesResponse(cursor=self.number, kind=self.kind, case=case)


def newest_change(connection: Connection) -> int:
    """Return the number of the newest change; 0 for none."""
    return int(connection.execute(sa.select(sa.func.max(CASE_CHANGES.c.change))).scalar() or 0)


def oldest_change(connection: Connection) -> int:
    """Return the number of the oldest stored change; 0 for none."""
    return int(connection.execute(sa.select(sa.func.min(CASE_CHANGES.c.change))).scalar() or 0)


def changes_after(number: int) -> Query[list[Change]]:
    """Return a query for the next changes after a number."""
    chosen = (
        sa.select(CASE_CHANGES).where(CASE_CHANGES.c.change > number).order_by(CASE_CHANGES.c.change).limit(_BATCH_SIZE)
    )

    def read(connection: Connection) -> list[Change]:
        found = connection.execute(chosen).all()
        rows = case_rows(connection, list({change.case_id for change in found})) if found else {}
        return [Change(change.change, change.kind, rows.get(change.case_id)) for change in found]

    return read


def drop_old(tx: LedgerTransaction) -> None:
    """Delete all but the newest MAX_CHANGES changes."""
    newest = tx.execute(sa.select(sa.func.max(CASE_CHANGES.c.change))).scalar() or 0
    tx.execute(CASE_CHANGES.delete().where(CASE_CHANGES.c.change <= newest - MAX_CHANGES))


class CaseFeed:
    """Reads changes while there are watchers, and passes them to all watchers."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._recent: deque[Change] = deque(maxlen=_BUFFER_SIZE)
        self._last, self._watchers, self._closed = 0, 0, False
        self._next_change: asyncio.Future[None] | None = None
        self._reading, self._watched = False, asyncio.Event()
        self._starting = asyncio.Lock()

    async def watch(self, cursor: int, viewer: str | None) -> AsyncIterator[cases.WatchCasesResponse]:
        """Yield every change after `cursor` once, in order; if it is 0, every change from now on. End when the agent
        stops.

        Raises InvalidRequest, Unavailable.
        """
        self._watchers += 1
        try:
            await self._start()
            if cursor:
                await self._check(cursor)
            else:
                cursor = self._last
            yield cases.WatchCasesResponse(cursor=cursor)  # confirms that the watch began, and where
            while not self._closed:
                changes = await self._changes_after(cursor)
                for change in changes:
                    yield change.to_proto(viewer)
                    cursor = change.number
                if not changes and not await self._wait_for_change():
                    yield cases.WatchCasesResponse(cursor=cursor)
        finally:
            self._watchers -= 1

    def close(self) -> None:
        """End all watches."""
        self._closed = True
        self._notify()

    async def drop_old_changes(self) -> None:
        """Delete all but the newest MAX_CHANGES changes, unless the ledger is unavailable."""
        with contextlib.suppress(Unavailable):
            await self._ledger.write(drop_old)

    async def read_changes(self) -> None:
        """Read changes while there are watchers, until cancelled. After a failure, resume after the last change."""
        while True:
            await self._watched.wait()
            await self._read()
            self._reading = False
            self._watched.clear()

    async def _start(self) -> None:
        async with self._starting:
            if not self._reading:
                self._recent.clear()
                self._last = await self._ledger.read(newest_change)
                self._reading = True
                self._watched.set()

    async def _check(self, cursor: int) -> None:
        """Raise InvalidRequest for a cursor that would miss changes, or that is not from this ledger."""
        oldest, newest = await self._ledger.read(
            lambda connection: (oldest_change(connection), newest_change(connection))
        )
        if cursor > newest or cursor + 1 < oldest:
            raise InvalidRequest([("cursor", "is not among the recorded changes; list the cases and watch from there")])

    async def _changes_after(self, cursor: int) -> list[Change]:
        """Return the known changes after a cursor: from the buffer, or from the ledger if the buffer begins later."""
        if cursor >= self._last:
            return []
        first = self._recent[0].number if self._recent else self._last + 1
        if cursor + 1 < first:
            return await self._ledger.read(changes_after(cursor))
        # Numbers may have gaps: those of transactions that were not committed.
        start = next(index for index, change in enumerate(self._recent) if change.number > cursor)
        return list(islice(self._recent, start, None))

    async def _wait_for_change(self) -> bool:
        """Wait for the next change; return False if there is none within KEEPALIVE_SECONDS."""
        if self._next_change is None or self._next_change.done():
            self._next_change = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                await asyncio.shield(self._next_change)
                return True
        return False

    def _notify(self) -> None:
        if self._next_change is not None and not self._next_change.done():
            self._next_change.set_result(None)

    async def _read(self) -> None:
        """Read changes while there are watchers."""
        while self._watchers:
            try:
                changes = await self._ledger.read(changes_after(self._last))
            except Unavailable:
                changes = []
            if changes:
                self._recent.extend(changes)
                self._last = changes[-1].number
                self._notify()
            if len(changes) < _BATCH_SIZE:
                await asyncio.sleep(POLL_SECONDS)
