"""Removes erased bytes from the database's files, as far as possible now. It records what blocks the work."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.database.engine import committing, snapshot, writing
from agent_server.privacy.log import check_sqlite_readers, clear_log, clear_statistics, empty_sqlite_log, end_log
from agent_server.privacy.progress import (
    Progress,
    Stage,
    drop_lease,
    lock_writes,
    read_progress,
    record_progress,
    renew_lease,
    take_lease,
)
from agent_server.privacy.rewriting import Dialect, LeaseLost, TableRewriter, WorkBlocked, WorkIncomplete
from agent_server.privacy.rewriting_postgres import PostgresDialect
from agent_server.privacy.rewriting_sqlite import SqliteDialect
from agent_server.privacy.tables import PERSONAL_TABLES

_BUSY_MILLISECONDS = 10_000
_NO_PERMISSION = "the database user may not rewrite tables; it has to own them, and needs CREATE on their schema"
_PART_SECONDS = 0.5
_BUSY = "the database is busy or unavailable; the work is retried"


def dialect_of(engine: Engine) -> Dialect:
    """Return how the engine's database copies tables."""
    return PostgresDialect() if engine.dialect.name == "postgresql" else SqliteDialect()


class Scrubber:
    """Does the work in the calling thread. Only one process does it at a time. Finished copies stay between calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._owner = engine, uuid.uuid4().hex
        self._postgres = engine.dialect.name == "postgresql"
        self._dialect = dialect_of(engine)
        self._target = 0
        self._copied: set[str] = set()
        self._swapped: set[str] = set()
        self.lost_lease = False
        """Whether another process does the work."""
        self._run_lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop a running call after its current step."""
        self._stopped.set()

    def release(self) -> None:
        """Release the lease, so that another process can continue at once after a blocked attempt."""
        with (
            suppress(sa.exc.SQLAlchemyError, LeaseLost),
            writing(self._engine) as connection,
            self._step(connection) as step,
        ):
            drop_lease(step, self._owner)
        self._start_over()

    def progress(self) -> Progress:
        """Return the state of the work."""
        with snapshot(self._engine) as connection:
            return read_progress(connection)

    def run(self) -> Progress:
        """Do all that is possible now; return the state. Raises SQLAlchemyError if the database is unavailable."""
        with self._run_lock:
            before = self.progress()
            while before.stage is not Stage.DONE and not self._stopped.is_set():
                waiting_for = self._attempt()
                before = self.progress()
                if waiting_for is not None:
                    break
            return before

    def _attempt(self) -> str | None:
        """Try to finish; return what blocks the work, None for nothing."""
        self.lost_lease, unfinished = False, False
        with self._patient_connection() as connection:
            try:
                self._acquire(connection)
                self._work(connection)
                return None
            except LeaseLost:
                return self._hand_over()
            except WorkBlocked as error:
                waiting_for, unfinished = str(error), isinstance(error, WorkIncomplete)
            except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
                if _is_missing_table(error):  # another process, which has the lease, dropped the copy
                    return self._hand_over()
                waiting_for = _blocking_reason(error)
            with suppress(sa.exc.SQLAlchemyError, LeaseLost):
                connection.rollback()
                self._record(connection, waiting_for=waiting_for)
        if unfinished:
            self._stopped.wait(_PART_SECONDS)
            return None
        return waiting_for

    def _hand_over(self) -> str:
        self._start_over()
        self.lost_lease = True
        return "another process does the work"

    @contextmanager
    def _patient_connection(self) -> Iterator[Connection]:
        """Yield a connection that waits longer for locks than reviews do: SQLite grants them in no order."""
        with writing(self._engine) as connection:
            before = _set_lock_timeout(connection, str(_BUSY_MILLISECONDS))
            try:
                yield connection
            finally:
                with suppress(sa.exc.SQLAlchemyError):
                    connection.rollback()
                    _set_lock_timeout(connection, before)

    def _work(self, connection: Connection) -> None:
        progress = self.progress()
        if progress.stage is Stage.TABLES:
            self._target = self._target or progress.requested
            self._rewrite(connection)
            self._record(connection, rewritten=self._target, log_ends_at=0)
            self._start_over()
            progress = self.progress()
        if self._postgres:
            ends_at = progress.log_ends_at or end_log(connection)
            self._record(connection, log_ends_at=ends_at)
            clear_log(connection, ends_at)
        else:
            empty_sqlite_log(self._engine)
        with self._step(connection) as step:
            record_progress(step, cleared=progress.rewritten, waiting_for="")
            drop_lease(step, self._owner)

    def _rewrite(self, connection: Connection) -> None:
        rewriting = TableRewriter(connection, self._dialect, self._renew)
        for table in PERSONAL_TABLES:
            if table.name in self._swapped:
                continue
            if not self._postgres:
                check_sqlite_readers(self._engine)
            if table.name not in self._copied:
                rewriting.copy(table)
                self._copied.add(table.name)
            rewriting.swap(table)
            self._copied.discard(table.name)
            self._swapped.add(table.name)
        if self._postgres:
            clear_statistics(connection)

    def _start_over(self) -> None:
        """Forget copies that are out of date or no longer needed."""
        self._target = 0
        self._copied.clear()
        self._swapped.clear()

    def _acquire(self, connection: Connection) -> None:
        with committing(connection, on_disk=True):
            lock_writes(connection)
            if read_progress(connection).owner != self._owner:
                self._start_over()
            if not take_lease(connection, self._owner):
                raise LeaseLost

    def _renew(self, connection: Connection) -> None:
        if self._stopped.is_set():
            raise WorkBlocked("the work continues after the next start")
        if not renew_lease(connection, self._owner):
            raise LeaseLost

    def _record(self, connection: Connection, **values: int | str) -> None:
        with self._step(connection) as step:
            record_progress(step, **values)

    @contextmanager
    def _step(self, connection: Connection) -> Iterator[Connection]:
        with committing(connection, on_disk=True):
            lock_writes(connection)
            if not renew_lease(connection, self._owner):
                raise LeaseLost
            yield connection


def _set_lock_timeout(connection: Connection, milliseconds: str) -> str:
    """Set how long a connection waits for locks; return how long it waited before."""
    if connection.dialect.name == "postgresql":
        with connection.begin():
            before = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
            connection.exec_driver_sql(f"SET lock_timeout = '{milliseconds}'")
            return str(before)
    driver: Any = connection.connection.driver_connection
    (known,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {milliseconds}")
    return str(known)


def _is_missing_table(error: sa.exc.DBAPIError) -> bool:
    """Return whether a table does not exist."""
    return getattr(error.orig, "sqlstate", "") == "42P01" or "no such table" in str(error.orig)


def _blocking_reason(error: sa.exc.DBAPIError) -> str:
    """Return what to wait for after an error of the database. Raise the error if waiting does not help."""
    state = getattr(error.orig, "sqlstate", None)
    if state == "42501":
        return _NO_PERMISSION
    if isinstance(error, sa.exc.OperationalError) and ("locked" in str(error.orig) or hasattr(error.orig, "sqlstate")):
        return _BUSY
    raise error
