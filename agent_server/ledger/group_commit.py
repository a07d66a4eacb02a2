"""Commits a group of writes: on PostgreSQL those on new orders beside other agents, the rest in one transaction.

A commit does not wait for the disk: `log_sync` puts the log on disk before the writes are answered.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.database.engine import (
    FAILING_SECONDS,
    file_of,
    set_idle_in_transaction_timeout,
    wait_for_locks,
    writing,
)
from agent_server.database.file import FileLost, LedgerFile
from agent_server.database.log import Log, PostgresLog, SqliteLog, SyncFailed, commit_without_sync
from agent_server.database.log_sync import LogSync
from agent_server.database.pipelining import connect_pipelined
from agent_server.ledger.chain import Signer
from agent_server.ledger.transaction import NOT_RUN, ConcurrentCommit, ForeignHead, LedgerTransaction, Write
from agent_server.metrics import COMMITS, WRITES
from runtime.errors import VouchError

# Failures of the database itself, not of what was written.
# A table that is missing or read only is an OperationalError in SQLite, a ProgrammingError in PostgreSQL.
_DATABASE_ERRORS = (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.InterfaceError, sa.exc.InternalError)
LEDGER_FAILURES = (*_DATABASE_ERRORS, FileLost, ForeignHead, SyncFailed)
"""Errors after which no write of a group can succeed."""


class GroupCommit:
    """Runs writes and commits them. Only one thread uses it."""

    def __init__(self, engine: Engine, signer: Signer, log_sync: LogSync) -> None:
        self._engine, self._signer, self._log_sync = engine, signer, log_sync
        path = file_of(engine)
        self._file = LedgerFile(path) if path else None
        self._connection: Connection | None = None
        self._pipelined: Connection | None = None
        self._concurrent: ConcurrentCommit | None = None
        self.log: Log | None = None
        """The log that the last group was written to; None for a database in memory."""
        self._has_short_timeout = False

    def run(self, writes: Sequence[Write[Any]], *, failing: bool) -> list[Any]:
        """Commit writes; return the result of each, or the VouchError that it raised.

        If the ledger was `failing` before, wait only a moment for locks. Raises LEDGER_FAILURES, or the error of a
        write that breaks a rule of the tables.
        """
        if self._log_sync.failure is not None:
            raise self._log_sync.failure
        if self._file:
            self._file.check()
        connection = self._connection or self._connect(failing)
        results = self._concurrent.run(writes) if self._concurrent else [NOT_RUN] * len(writes)
        if alone := [index for index, result in enumerate(results) if result is NOT_RUN]:
            for index, result in zip(alone, self._run_alone(connection, [writes[i] for i in alone]), strict=True):
                results[index] = result
        if self._has_short_timeout:
            for one in filter(None, (connection, self._pipelined)):
                wait_for_locks(one)
            self._has_short_timeout = False
        COMMITS.inc()
        WRITES.inc(len(writes))
        return results

    def _run_alone(self, connection: Connection, writes: Sequence[Write[Any]]) -> list[Any]:
        """Run writes in a transaction that locks the ledger; return the result of each."""
        results: list[Any] = [None] * len(writes)
        with connection.begin():
            tx = LedgerTransaction(connection, self._signer)
            tx.prefetch_revisions(filter(None, (getattr(write, "transaction_id", "") for write in writes)))
            # Writes with an `enter` step run first, before anything is decided or replaced: their rows are one batch.
            entered = [_enter(write, tx) for write in writes]
            for index in sorted(range(len(writes)), key=lambda index: not entered[index]):
                results[index] = _run(writes[index], tx)
            tx.close()
        return results

    def disconnect(self) -> None:
        """Drop the connections, whatever state they are in. The next group opens new ones."""
        for connection in filter(None, (self._connection, self._pipelined)):
            connection.invalidate()  # so that it does not return to the pool
            connection.close()
        self._connection = self._pipelined = self._concurrent = None
        log, self.log = self.log, None
        if log is not None:
            self._log_sync.release(log)
        if self._file:
            self._file.forget_log()

    def _connect(self, failing: bool) -> Connection:
        self._connection = writing(self._engine)
        set_idle_in_transaction_timeout(self._connection)
        commit_without_sync(self._connection)
        self._has_short_timeout = failing
        if failing:
            wait_for_locks(self._connection, FAILING_SECONDS)
        if self._engine.dialect.name == "postgresql":
            self.log = PostgresLog(writing(self._engine))
            self._pipelined = connect_pipelined(self._engine)
            set_idle_in_transaction_timeout(self._pipelined)
            commit_without_sync(self._pipelined)
            if failing:
                wait_for_locks(self._pipelined, FAILING_SECONDS)
            self._concurrent = ConcurrentCommit(self._pipelined, self._signer)
        elif self._file:
            self.log = SqliteLog(self._file.path, self._file.check)
        return self._connection


def failure_cause(error: Exception) -> str:
    """Return the cause of an error for the log. Only database errors are quoted: others may contain personal data."""
    if isinstance(error, _DATABASE_ERRORS) and error.orig is not None:
        return f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0]}"
    return str(error) if isinstance(error, FileLost | ForeignHead | SyncFailed) else type(error).__name__


def _enter(write: Write[Any], tx: LedgerTransaction) -> bool:
    enter = getattr(write, "enter", None)
    return enter is not None and enter(tx)


def _run(write: Write[Any], tx: LedgerTransaction) -> Any:
    try:
        return write(tx)
    except VouchError as error:  # raised before the write appended anything
        return error
