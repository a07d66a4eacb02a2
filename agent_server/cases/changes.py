"""What happens to cases, told to whoever watches: one reading of the ledger for all watchers of a process.

Changes are numbered in the order of commits, so whoever comes back with the number of the last one misses none, at another
agent too.
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

LOOK_SECONDS = 0.1
QUIET_SECONDS = 20.0
"""After so long without a change watchers hear that there was none: it keeps the ways to them open."""
KEPT = 100_000
"""So many changes are kept: who comes back with an older one has to list the cases anew."""
_IN_MEMORY, _AT_ONCE = 2000, 500


@dataclass(frozen=True)
class Change:
    """Something that happened to a case, and the case's row when it was read; None where the case is gone."""

    number: int
    kind: cases.CaseEventKind
    row: Any

    def to_proto(self, viewer: str | None) -> cases.WatchCasesResponse:
        """The change as a viewer may see it."""
        case = None if self.row is None else case_of(self.row, viewer)
        return cases.WatchCasesResponse(cursor=self.number, kind=self.kind, case=case)


def newest_change(connection: Connection) -> int:
    """The number of the newest change; 0 where there is none."""
    return int(connection.execute(sa.select(sa.func.max(CASE_CHANGES.c.change))).scalar() or 0)


def oldest_change(connection: Connection) -> int:
    """The number of the oldest change that is kept; 0 where there is none."""
    return int(connection.execute(sa.select(sa.func.min(CASE_CHANGES.c.change))).scalar() or 0)


def changes_behind(number: int) -> Query[list[Change]]:
    """The next changes behind a number."""
    chosen = (
        sa.select(CASE_CHANGES).where(CASE_CHANGES.c.change > number).order_by(CASE_CHANGES.c.change).limit(_AT_ONCE)
    )

    def read(connection: Connection) -> list[Change]:
        found = connection.execute(chosen).all()
        rows = case_rows(connection, list({change.case_id for change in found})) if found else {}
        return [Change(change.change, change.kind, rows.get(change.case_id)) for change in found]

    return read


def drop_old(tx: LedgerTransaction) -> None:
    """Drop all but the newest KEPT changes."""
    newest = tx.execute(sa.select(sa.func.max(CASE_CHANGES.c.change))).scalar() or 0
    tx.execute(CASE_CHANGES.delete().where(CASE_CHANGES.c.change <= newest - KEPT))


class CaseFeed:
    """Reads changes while somebody watches, and hands them to all watchers."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._recent: deque[Change] = deque(maxlen=_IN_MEMORY)
        self._last, self._watchers, self._closed = 0, 0, False
        self._news: asyncio.Future[None] | None = None
        self._reading, self._watched = False, asyncio.Event()
        self._starting = asyncio.Lock()

    async def watch(self, cursor: int, viewer: str | None) -> AsyncIterator[cases.WatchCasesResponse]:
        """Every change behind `cursor` once, in order; from now on where it is 0. It ends when the agent stops.

        Raises InvalidRequest, Unavailable.
        """
        self._watchers += 1
        try:
            await self._start()
            if cursor:
                await self._check(cursor)
            else:
                cursor = self._last
            yield cases.WatchCasesResponse(cursor=cursor)  # so that the caller knows that it watches, and from where
            while not self._closed:
                changes = await self._behind(cursor)
                for change in changes:
                    yield change.to_proto(viewer)
                    cursor = change.number
                if not changes and not await self._something_new():
                    yield cases.WatchCasesResponse(cursor=cursor)
        finally:
            self._watchers -= 1

    def close(self) -> None:
        """End all watching."""
        self._closed = True
        self._tell()

    async def drop_old_changes(self) -> None:
        """Drop all but the newest KEPT changes, unless the ledger is unavailable."""
        with contextlib.suppress(Unavailable):
            await self._ledger.write(drop_old)

    async def read_changes(self) -> None:
        """Read changes whenever somebody watches, until cancelled. After a failure it goes on behind the last change read."""
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
        """Refuse a cursor that would miss changes, or that is none of this ledger's."""
        oldest, newest = await self._ledger.read(
            lambda connection: (oldest_change(connection), newest_change(connection))
        )
        if cursor > newest or cursor + 1 < oldest:
            raise InvalidRequest(
                [("cursor", "is none of the changes that are kept: list the cases, and watch from there")]
            )

    async def _behind(self, cursor: int) -> list[Change]:
        """What is known behind a cursor: from memory, or from the ledger where that does not reach back so far."""
        if cursor >= self._last:
            return []
        first = self._recent[0].number if self._recent else self._last + 1
        if cursor + 1 < first:
            return await self._ledger.read(changes_behind(cursor))
        # Numbers may have gaps: those whose transaction was not committed.
        behind = next(place for place, change in enumerate(self._recent) if change.number > cursor)
        return list(islice(self._recent, behind, None))

    async def _something_new(self) -> bool:
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                await asyncio.shield(self._news)
                return True
        return False

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _read(self) -> None:
        """While somebody watches."""
        while self._watchers:
            try:
                changes = await self._ledger.read(changes_behind(self._last))
            except Unavailable:
                changes = []
            if changes:
                self._recent.extend(changes)
                self._last = changes[-1].number
                self._tell()
            if len(changes) < _AT_ONCE:
                await asyncio.sleep(LOOK_SECONDS)
