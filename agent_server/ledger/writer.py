"""The one writer of a process, and its readers.

Writes go through one thread that commits whatever has gathered meanwhile as one transaction, so that a disk that syncs in
milliseconds still carries thousands of decisions a second.
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
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.database.engine import (
    FAILING_SECONDS,
    committing,
    file_of,
    set_idle_in_transaction_timeout,
    snapshot,
    wait_for_locks,
    writing,
)
from agent_server.database.file import FileLost, LedgerFile
from agent_server.ledger.chain import Signer, Unsigned
from agent_server.ledger.queries import Query
from agent_server.ledger.schema import PROOFS
from agent_server.ledger.transaction import ForeignHead, LedgerTransaction, Write
from agent_server.metrics import COMMITS, WRITES
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.errors import Unavailable, VouchError
from runtime.jobs import in_maintenance_thread
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

T = TypeVar("T")
PROVEN_SECONDS = 1.0
"""How long a proof that succeeded is believed, unless a write fails meanwhile."""
PATIENCE_SECONDS = 2.0
"""So long a caller waits for a write; what is not known to be kept by then is answered as not kept."""
READERS = 8
"""Threads for reads that a caller waits for."""
_LARGEST_GROUP = 512
_PROOF_BYTES = 16 << 10  # more than a review writes, so that a disk with room for the proof has room for one
_TELL_SECONDS = 10.0
# The database itself, not what was written.
# A table that is missing or read only is an OperationalError in SQLite, a ProgrammingError in PostgreSQL.
_STATE = (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.InterfaceError, sa.exc.InternalError)
_LOST = (*_STATE, FileLost, ForeignHead)
_Waiting = tuple[Write[Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]
_log = get_logger()


class Ledger:
    """The one writer and the readers of a ledger."""

    def __init__(self, engine: Engine, signer: Signer | None = None, proof: Write[None] | None = None) -> None:
        """`proof` is what has to succeed, and leave nothing, for the ledger to be available."""
        self._engine, self._signer, self._proof = engine, signer or Unsigned(), proof
        path = file_of(engine)
        self._file = LedgerFile(path) if path else None
        self._connection: Connection | None = None
        self._name = uuid.uuid4().hex
        self._proven, self._failing, self._hurries = 0.0, False, False
        self._told, self._failed = 0.0, 0
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, "ledger-read")
        self._writer = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._writer.start()

    async def write(self, write: Write[T]) -> T:
        """Run `write` inside a committed transaction; raise Unavailable where it is not known to be kept.

        A write whose caller stops waiting before its group begins is never run; later, it is committed with its group.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.put((write, loop, done))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await done
        except TimeoutError as error:
            raise _not_kept() from error

    async def read(self, query: Query[T]) -> T:
        """Run `query` on one state of the database; raise Unavailable when it does not answer."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, query)

    async def read_in_background(self, query: Query[T]) -> T:
        """As `read`, in the threads of maintenance: for exports, reports and jobs, which must not hold up the other reads."""
        return await in_maintenance_thread(self.read_now, query)

    def read_now(self, query: Query[T]) -> T:
        """As `read`, in this thread."""
        try:
            with snapshot(self._engine) as connection:
                return query(connection)
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable(
                "the ledger cannot be read: try again", reason=ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE
            ) from error

    async def available(self, within_seconds: float = PROVEN_SECONDS) -> bool:
        """Whether a review could be recorded now: it could, so many seconds ago, or one made to find out can."""
        if not self._failing and time.monotonic() - self._proven < within_seconds:
            return True
        try:
            await self.write(self._probe)
        except Unavailable:
            return False
        except Exception as error:  # a rule of the tables that no review could keep
            _log.error("no review can be recorded", cause=_cause(error))
            return False
        self._proven = time.monotonic()
        return True

    def close(self) -> None:
        """Finish what was handed in, then close the database."""
        self._waiting.put(None)
        self._writer.join()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    def _probe(self, group: LedgerTransaction) -> None:
        content = os.urandom(_PROOF_BYTES)
        mine = PROOFS.c.writer == self._name
        if not group.execute(PROOFS.update().where(mine).values(content=content)).rowcount:
            group.execute(PROOFS.insert().values(writer=self._name, content=content))
        if self._proof is not None:
            self._proof(group)

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            writes, ended = [] if first is None else [first], first is None
            while not ended and len(writes) < _LARGEST_GROUP and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    ended = True
                else:
                    writes.append(following)
            if writes:
                self._answer_safely(writes)
            if ended:
                self._disconnect()
                return

    def _answer_safely(self, waiting: Sequence[_Waiting]) -> None:
        """Answer those who still wait. A write whose caller has gone is not begun: it was told that nothing was recorded."""
        waiting = [one for one in waiting if not one[2].done()]
        try:
            if waiting:
                self._answer(waiting)
        except Exception as error:  # whatever it is, the thread goes on: there is no other writer
            _log.error(
                "ledger writer failed", error=type(error).__name__, where=traceback_frames(error), writes=len(waiting)
            )

    def _answer(self, waiting: Sequence[_Waiting]) -> None:
        try:
            results = self._commit([write for write, _, _ in waiting])
        except Exception as error:
            if not isinstance(error, FileLost):  # a new connection would make a new file where the old one was
                self._disconnect()
            self._log_failure(error, len(waiting))
            results = [_not_kept() for _ in waiting]  # one for each: a shared one would grow with every traceback
        else:
            self._log_recovery()
        # Handed over loop by loop: to wake a loop costs more than to resolve what it waits for.
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for (_, loop, done), result in zip(waiting, results, strict=True):
            by_loop.setdefault(loop, []).append((done, result))
        for loop, resolved in by_loop.items():
            with contextlib.suppress(RuntimeError):  # a loop that was closed waits for nothing
                loop.call_soon_threadsafe(_resolve, resolved)

    def _commit(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """All writes in one transaction. Where one of several breaks a rule of the tables, each gets one of its own."""
        try:
            return self._commit_together(writes)
        except _LOST:
            raise
        except Exception as error:
            if len(writes) == 1:
                self._proven = 0.0
                return [error]
            return [result for write in writes for result in self._commit([write])]

    def _commit_together(self, writes: Sequence[Write[Any]]) -> list[Any]:
        if self._file:
            self._file.check()
        if self._connection is None:
            self._connection = writing(self._engine)
            set_idle_in_transaction_timeout(self._connection)
            self._hurries = self._failing
            if self._hurries:
                wait_for_locks(self._connection, FAILING_SECONDS)
        results: list[Any] = [None] * len(writes)
        with committing(self._connection, on_disk=not all(getattr(write, "relaxed", False) for write in writes)):
            group = LedgerTransaction(self._connection, self._signer)
            group.look_up(filter(None, (getattr(write, "transaction_id", "") for write in writes)))
            # What can enter does so first, and has its turn before anything is decided or replaced: one batch of rows.
            entered = [_enter(write, group) for write in writes]
            for place in sorted(range(len(writes)), key=lambda place: not entered[place]):
                results[place] = _done(writes[place], group)
            group.close()
        if self._hurries:
            wait_for_locks(self._connection)
            self._hurries = False
        if self._file:
            self._file.check()
        COMMITS.inc()
        WRITES.inc(len(writes))
        return results

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # not back into the pool: whatever state it is in ends here
            connection.close()
        if self._file:
            self._file.reopened()

    def _log_failure(self, error: Exception, decisions: int) -> None:
        self._failing, self._failed, self._proven = True, self._failed + decisions, 0.0
        if time.monotonic() - self._told >= _TELL_SECONDS:
            _log.error("the ledger cannot be written", cause=_cause(error), refused=self._failed)
            self._told, self._failed = time.monotonic(), 0

    def _log_recovery(self) -> None:
        if self._failing:
            _log.info("the ledger is written again", refused=self._failed)
            self._failing, self._told, self._failed = False, 0.0, 0


def _enter(write: Write[Any], group: LedgerTransaction) -> bool:
    enter = getattr(write, "enter", None)
    return enter is not None and enter(group)


def _done(write: Write[Any], group: LedgerTransaction) -> Any:
    try:
        return write(group)
    except VouchError as error:  # refused before anything was appended
        return error


def _resolve(resolved: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for done, result in resolved:
        if not done.done():  # else nobody waits any more
            done.set_exception(result) if isinstance(result, Exception) else done.set_result(result)


def _cause(error: Exception) -> str:
    """What went wrong. Only a database's own words on its own state: others may hold values of an order."""
    if isinstance(error, _STATE) and error.orig is not None:
        return f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0]}"
    return str(error) if isinstance(error, FileLost | ForeignHead) else type(error).__name__


def _not_kept() -> Unavailable:
    return Unavailable(
        "the decision could not be kept, so it is not given: try again",
        reason=ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE,
    )
