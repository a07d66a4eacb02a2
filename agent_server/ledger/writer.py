"""The one writer of a process, and its readers.

Writes go through one thread that commits whatever has gathered meanwhile as one transaction, so that a disk that syncs in
milliseconds still carries thousands of decisions a second.
"""

import asyncio
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.ledger.engine import file_of, writing
from agent_server.ledger.file import FileLost, LedgerFile
from agent_server.ledger.schema import PROOFS
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.rpc.errors import Unavailable
from runtime.telemetry.logging import get_logger

T = TypeVar("T")
Query = Callable[[Connection], T]
"""What is done with a connection, and what it gives."""
Work = Query[Any]
PROVEN_SECONDS = 1.0
"""For so long a write that succeeded proves that the next one will."""
_LARGEST_GROUP = 512
_PROOF_BYTES = 16 << 10  # more than a review writes, so that a disk with room for the proof has room for one
_TELL_SECONDS = 10.0
_log = get_logger()


class Ledger:
    """The one writer and the readers of a ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        path = file_of(engine)
        self._file = LedgerFile(path) if path else None
        self._connection: Connection | None = None
        self._name = uuid.uuid4().hex
        self._proven, self._failing = 0.0, False
        self._told, self._failed = 0.0, 0
        self._work: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._writer.start()

    async def write(self, work: Query[T]) -> T:
        """Run `work` inside a committed transaction; raise Unavailable when it could not be kept."""
        done: Future[T] = Future()
        self._work.put((work, done))
        return await asyncio.wrap_future(done)

    async def read(self, query: Query[T]) -> T:
        """Run `query` on a connection of its own; raise Unavailable when the database does not answer."""

        def run() -> T:
            try:
                with self._engine.connect() as connection:
                    return query(connection)
            except sa.exc.SQLAlchemyError as error:
                raise Unavailable(
                    "the ledger cannot be read: try again", reason=ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE
                ) from error

        return await asyncio.to_thread(run)

    async def available(self, within_seconds: float = PROVEN_SECONDS) -> bool:
        """Whether a decision can be kept now: the last write was, so many seconds ago, or one made to find out is."""
        if not self._failing and time.monotonic() - self._proven < within_seconds:
            return True
        try:
            await self.write(self._prove)
        except Unavailable:
            return False
        return True

    def close(self) -> None:
        """Finish what was handed in, then close the database."""
        self._work.put(None)
        self._writer.join()
        self._engine.dispose()

    def _prove(self, connection: Connection) -> None:
        content = os.urandom(_PROOF_BYTES)
        mine = PROOFS.c.writer == self._name
        if not connection.execute(PROOFS.update().where(mine).values(content=content)).rowcount:
            connection.execute(PROOFS.insert().values(writer=self._name, content=content))

    def _write(self) -> None:
        while True:
            first = self._work.get()
            group, ended = [] if first is None else [first], first is None
            while not ended and len(group) < _LARGEST_GROUP and not self._work.empty():
                item = self._work.get()
                if item is None:
                    ended = True
                else:
                    group.append(item)
            if group:
                self._answer(group)
            if ended:
                self._disconnect()
                return

    def _answer(self, group: Sequence[tuple[Work, Future[Any]]]) -> None:
        try:
            results = self._commit([work for work, _ in group])
        except Exception as error:
            if not isinstance(error, FileLost):  # a new connection would make a new file where the old one was
                self._disconnect()
            self._tell_failed(error, len(group))
            results = [_not_kept()] * len(group)
        else:
            self._tell_kept()
        for (_, done), result in zip(group, results, strict=True):
            if done.set_running_or_notify_cancel():
                done.set_exception(result) if isinstance(result, Exception) else done.set_result(result)

    def _commit(self, group: Sequence[Work]) -> list[Any]:
        """Run all of a group in one transaction. One that breaks a rule of the tables fails alone: its error is its result."""
        if self._file:
            self._file.check()
        if self._connection is None:
            self._connection = writing(self._engine)
        results: list[Any] = []
        with self._connection.begin():
            for work in group:
                try:
                    with self._connection.begin_nested():
                        results.append(work(self._connection))
                except sa.exc.OperationalError:
                    raise
                except Exception as error:  # one bad write must not undo its neighbours
                    results.append(error)
        if self._file:
            self._file.check()
        return results

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # not back into the pool: whatever state it is in ends here
            connection.close()
        if self._file:
            self._file.reopened()

    def _tell_failed(self, error: Exception, decisions: int) -> None:
        self._failing, self._failed = True, self._failed + decisions
        if time.monotonic() - self._told >= _TELL_SECONDS:
            _log.error("the ledger cannot be written", cause=_cause(error), refused=self._failed)
            self._told, self._failed = time.monotonic(), 0

    def _tell_kept(self) -> None:
        self._proven = time.monotonic()
        if self._failing:
            _log.info("the ledger is written again", refused=self._failed)
            self._failing, self._told, self._failed = False, 0.0, 0


def _cause(error: Exception) -> str:
    """What went wrong. Only a database's own words on its own state: others may hold values of an order."""
    if isinstance(error, sa.exc.OperationalError) and error.orig is not None:
        return f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0]}"
    return str(error) if isinstance(error, FileLost) else type(error).__name__


def _not_kept() -> Unavailable:
    return Unavailable(
        "the decision could not be kept, so it is not given: try again",
        reason=ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE,
    )
