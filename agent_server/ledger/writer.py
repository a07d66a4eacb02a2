"""The one writer of a process, and its readers.

All writes go through one thread. It commits everything that arrived meanwhile as one transaction. Another thread puts
the log on disk; then the writes are answered. So a disk that takes milliseconds to sync still carries thousands of
decisions a second, and the next transaction runs meanwhile.
"""

import asyncio
import contextlib
import os
import queue
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from agent_server.database.engine import snapshot
from agent_server.database.file import FileLost
from agent_server.database.log import LogClosed, Sync, SyncFailed
from agent_server.database.log_sync import LogSync
from agent_server.ledger.chain import Signer, Unsigned
from agent_server.ledger.group_commit import LEDGER_FAILURES, GroupCommit, failure_cause
from agent_server.ledger.queries import Query
from agent_server.ledger.schema import PROOFS
from agent_server.ledger.transaction import LedgerTransaction, Write
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.errors import Unavailable
from runtime.jobs import in_maintenance_thread
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

T = TypeVar("T")
PROBE_SECONDS = 1.0
"""How long a successful probe counts, unless a write fails meanwhile."""
WRITE_TIMEOUT_SECONDS = 2.0
"""Write timeout. After it the outcome is unknown, and the caller gets UNAVAILABLE."""
READERS = 8
"""Threads for reads that a caller waits for."""
_MAX_GROUP = 512
_PAUSE_SHARE, _LONGEST_PAUSE_SECONDS = 2.0, 0.003
"""After a group of several writes the writer pauses for twice the time of that group, at most for the last of these
times, so that the next group is larger: a write in a large group costs half as much. A write alone does not wait.
"""
_IDLE_TURNS, _IDLE_TURN_SECONDS, _GATHERING_SECONDS = 3, 50e-6, 0.003
"""A write waits for others to join its group while the event loop is busy: until some turns took less than this time,
which takes microseconds if the write is alone, or at most for the last of these times.
"""
_PROBE_BYTES = 16 << 10  # more than a review writes, so that a disk with room for the probe has room for a review
_LOG_SECONDS = 10.0
_PendingWrite = tuple[Write[Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]
_log = get_logger()


class Ledger:
    """The one writer and the readers of a ledger."""

    def __init__(self, engine: Engine, signer: Signer | None = None, probe: Write[None] | None = None) -> None:
        """Start the writer's thread. The ledger is available if `probe`, a write that leaves nothing, succeeds."""
        self._engine, self._probe_review = engine, probe
        self._log_sync = LogSync()
        self._group_commit = GroupCommit(engine, signer or Unsigned(), self._log_sync)
        self._name = uuid.uuid4().hex
        self._last_success, self._failing = 0.0, False
        self._last_logged, self._failed, self._reconnect = 0.0, 0, False
        self._pending: queue.SimpleQueue[Sequence[_PendingWrite] | None] = queue.SimpleQueue()
        self._gathering: list[_PendingWrite] = []
        self._readers = ThreadPoolExecutor(READERS, "ledger-read")
        self._writer = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._writer.start()

    async def write(self, write: Write[T]) -> T:
        """Run `write` in a transaction, and return its result once that is on disk, or committed if it is `relaxed`.

        Raise Unavailable if it may not be recorded.

        If the caller stops waiting before the write's group begins, the write never runs; after that, it is committed.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._gather((write, loop, done))
        timer = loop.call_later(WRITE_TIMEOUT_SECONDS, _resolve, [(done, _not_recorded)])
        try:
            return await done
        finally:
            timer.cancel()

    def _gather(self, pending: _PendingWrite) -> None:
        """Pass a write to the writer once the event loop is idle, together with those that arrive meanwhile.

        A group of several writes costs little more than one.
        """
        loop = pending[1]
        if self._gathering and self._gathering[0][1] is not loop:  # of a loop that may never run again
            self._hand_over(self._gathering)
        self._gathering.append(pending)
        if len(self._gathering) == 1:
            self._hand_over_when_idle(self._gathering, time.perf_counter(), 0.0, 0)

    def _hand_over_when_idle(self, gathered: list[_PendingWrite], begun: float, before: float, idle: int) -> None:
        now = time.perf_counter()
        idle = idle + 1 if now - before < _IDLE_TURN_SECONDS else 0
        if idle >= _IDLE_TURNS or now - begun > _GATHERING_SECONDS:
            self._hand_over(gathered)
        elif gathered is self._gathering:
            gathered[0][1].call_soon(self._hand_over_when_idle, gathered, begun, now, idle)

    def _hand_over(self, gathered: list[_PendingWrite]) -> None:
        if gathered is self._gathering and gathered:
            self._gathering = []
            self._pending.put(gathered)

    async def read(self, query: Query[T]) -> T:
        """Run `query` on one snapshot of the database, of what is on disk. Raise Unavailable if there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, query)

    async def read_in_background(self, query: Query[T]) -> T:
        """As `read`, in the maintenance threads: for exports, reports and jobs, which must not hold up other reads."""
        return await in_maintenance_thread(self.read_now, query)

    def read_now(self, query: Query[T]) -> T:
        """As `read`, in this thread."""
        try:
            with snapshot(self._engine, self._sync()) as connection:
                return query(connection)
        except (sa.exc.SQLAlchemyError, OSError, SyncFailed, LogClosed, FileLost) as error:
            raise Unavailable(
                "ledger cannot be read; retry", reason=ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE
            ) from error

    async def available(self, within_seconds: float = PROBE_SECONDS) -> bool:
        """Return whether a review could be recorded now. A probe that succeeded within this time is not repeated."""
        if not self._failing and time.monotonic() - self._last_success < within_seconds:
            return True
        try:
            await self.write(self._probe)
        except Unavailable:
            return False
        except Exception as error:  # a rule of the tables that every review would break
            _log.error("no review can be recorded", cause=failure_cause(error))
            return False
        self._last_success = time.monotonic()
        return True

    def close(self) -> None:
        """Finish pending writes, then close the database."""
        self._hand_over(self._gathering)
        self._pending.put(None)
        self._writer.join()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    def _probe(self, tx: LedgerTransaction) -> None:
        content = os.urandom(_PROBE_BYTES)
        own = PROOFS.c.writer == self._name
        if not tx.execute(PROOFS.update().where(own).values(content=content)).rowcount:
            tx.execute(PROOFS.insert().values(writer=self._name, content=content))
        if self._probe_review is not None:
            self._probe_review(tx)

    def _run(self) -> None:
        """Commit groups of pending writes until the ledger is closed."""
        pause = 0.0
        while True:
            first = self._pending.get()
            if pause:
                time.sleep(pause)
            writes, closed = list(first or ()), first is None
            while not closed and len(writes) < _MAX_GROUP and not self._pending.empty():
                following = self._pending.get()
                closed = following is None
                writes += following or ()
            begun = time.perf_counter()
            if writes:
                self._answer_safely(writes)
            took = time.perf_counter() - begun
            pause = min(_PAUSE_SHARE * took, _LONGEST_PAUSE_SECONDS) if len(writes) > 1 else 0.0
            if closed:
                self._group_commit.disconnect()
                self._log_sync.close()
                return

    def _answer_safely(self, pending: Sequence[_PendingWrite]) -> None:
        """Run writes whose callers still wait. The other callers already got the answer that nothing was recorded."""
        pending = [one for one in pending if not one[2].done()]
        try:
            if pending:
                self._answer(pending)
        except Exception as error:  # the thread goes on after any error, since there is no other writer
            _log.error(
                "ledger writer failed", error=type(error).__name__, where=traceback_frames(error), writes=len(pending)
            )

    def _answer(self, pending: Sequence[_PendingWrite]) -> None:
        if self._reconnect:
            self._group_commit.disconnect()
            self._reconnect = False
        try:
            results = self._commit([write for write, _, _ in pending])
        except Exception as error:
            if not isinstance(error, FileLost | SyncFailed):  # a new connection would make a new file in its place
                self._group_commit.disconnect()
            self._fail(pending, error)
            return
        answered = list(zip(pending, results, strict=True))
        relaxed = [one for one in answered if getattr(one[1], "relaxed", False)]
        _answer_all(relaxed)
        if len(relaxed) < len(answered):
            waiting = [one for one in answered if not getattr(one[1], "relaxed", False)]
            log = self._group_commit.log
            if log is None:  # a database in memory
                self._on_synced(waiting, None)
            else:
                self._log_sync.after_sync(log, partial(self._on_synced, waiting))

    def _on_synced(self, answered: Sequence[tuple[_PendingWrite, Any]], error: Exception | None) -> None:
        """Answer writes whose transaction is on disk, or with an `error`, perhaps not."""
        if error is None:
            self._log_recovery()
            _answer_all(answered)
        else:
            self._reconnect = not isinstance(error, FileLost | SyncFailed)
            self._fail([pending for pending, _ in answered], error)

    def _fail(self, pending: Sequence[_PendingWrite], error: Exception) -> None:
        self._log_failure(error, len(pending))
        _answer_all([(one, _not_recorded) for one in pending])

    def _sync(self) -> Sync | None:
        """Return how a reader puts the log on disk: with the writes that wait for it."""
        log = self._group_commit.log
        return None if log is None else partial(self._log_sync.wait, log)

    def _commit(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Commit all writes in one transaction; commit each on its own if one of them breaks a rule of the tables."""
        try:
            return self._group_commit.run(writes, failing=self._failing)
        except LEDGER_FAILURES:
            raise
        except Exception as error:
            if len(writes) == 1:
                self._last_success = 0.0
                return [error]
            return [result for write in writes for result in self._commit([write])]

    def _log_failure(self, error: Exception, writes: int) -> None:
        self._failing, self._failed, self._last_success = True, self._failed + writes, 0.0
        if time.monotonic() - self._last_logged >= _LOG_SECONDS:
            _log.error("ledger cannot be written", cause=failure_cause(error), refused=self._failed)
            self._last_logged, self._failed = time.monotonic(), 0

    def _log_recovery(self) -> None:
        if self._failing:
            _log.info("ledger can be written again", refused=self._failed)
            self._failing, self._last_logged, self._failed = False, 0.0, 0


def _answer_all(answered: Sequence[tuple[_PendingWrite, Any]]) -> None:
    """Pass results to the callers, grouped by event loop: to wake a loop costs more than to resolve its futures."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for (_, loop, done), result in answered:
        by_loop.setdefault(loop, []).append((done, result))
    for loop, resolved in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(_resolve, resolved)


def _resolve(resolved: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for done, result in resolved:
        if not done.done():  # otherwise the caller stopped waiting
            if result is _not_recorded:
                result = _not_recorded()  # one each: a shared one would collect tracebacks
            done.set_exception(result) if isinstance(result, Exception) else done.set_result(result)


def _not_recorded() -> Unavailable:
    return Unavailable("decision was not recorded; retry", reason=ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE)
