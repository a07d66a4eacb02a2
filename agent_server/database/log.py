"""Puts the database's write-ahead log on disk, apart from the commits that wrote to it.

The writer of a ledger commits without a sync, and another thread syncs the log before the writes are answered. Both
databases have one log, so that a sync covers all earlier commits, and nothing on disk depends on something that is not.
After a power failure the ledger is in the state of one of its commits, no older than the last sync:

- SQLite, with `synchronous = NORMAL`: a commit only appends to the log. Checkpoints sync the log before they change the
  database, and the database before the log is overwritten (https://www.sqlite.org/wal.html).
- PostgreSQL, with `synchronous_commit = off` (https://www.postgresql.org/docs/current/wal-async-commit.html).

Others see a commit before it is on disk. So a snapshot for readers begins with a sync, unless there is nothing to sync.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy.engine import Connection

Sync = Callable[[], None]
"""Puts all commits so far on disk."""
_sync_data = getattr(os, "fdatasync", os.fsync)
_ON_DISK: Final = "log_on_disk"
_STABLE_NANOSECONDS: Final = 50_000_000
"""Two changes of a file may have the same time if they are less than a tick of the kernel's clock apart."""
_COMMIT_WITH_SYNC: Final = "SELECT pg_logical_emit_message(true, 'vouch', '')"
"""A transaction that writes to the log, so that its commit waits until the log is on disk."""
_POSITIONS: Final = """
SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_current_wal_flush_lsn() - '0/0'::pg_lsn,
    3 * extract(epoch FROM current_setting('wal_writer_delay')::interval)
WHERE NOT pg_is_in_recovery()
"""
"""No row on a standby, to which PostgreSQL sends only what is on disk."""
_PAGE_BYTES, _PAGE_HEADER_BYTES = 8192, 40
_PAUSE_SECONDS: Final = 0.001


class SyncFailed(Exception):
    """The system could not put the log on disk, and may have dropped what it could not write. The message says so."""


class LogClosed(Exception):
    """The log was closed before it could be synced."""


class Log(Protocol):
    """The log of a database."""

    def sync(self) -> None:
        """Put all commits on disk that were visible when this was called."""

    def close(self) -> None:
        """Release the log. Later syncs raise LogClosed."""


class SqliteLog:
    """The log of an SQLite database, which has to be in use by a connection.

    One file descriptor is used for all syncs: Linux reports an error once to each descriptor that was open, and to a new
    one perhaps never. So a sync that failed must not be repeated (https://lwn.net/Articles/752063/).
    """

    def __init__(self, database: Path, check: Callable[[], None]) -> None:
        """`check` raises an error if the files are no longer those that were opened."""
        self._file, self._check = os.open(log_path(database), os.O_RDONLY), check
        self._closed = False
        _sync_folder(database.parent)

    def sync(self) -> None:
        """See Log. Raises SyncFailed."""
        if self._closed:
            raise LogClosed
        try:
            _sync_data(self._file)
        except OSError as error:
            raise SyncFailed(
                f"the write-ahead log is not on disk: {error.strerror}; check the disk, and restart"
            ) from error
        self._check()

    def close(self) -> None:
        """See Log."""
        self._closed = True
        os.close(self._file)


class PostgresLog:
    """The log of PostgreSQL, synced over a connection of its own.

    The connection has to be older than the commits. If the server crashed and lost some of them, it is broken, and no
    later sync can confirm them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        self._driver: Any = self._connection.connection.driver_connection
        self.sync()

    def sync(self) -> None:
        """See Log. Raises an error of the driver."""
        if self._connection.closed:
            raise LogClosed
        self._driver.execute(_COMMIT_WITH_SYNC)

    def close(self) -> None:
        """See Log."""
        self._connection.invalidate()  # so that it does not return to the pool
        self._connection.close()


def log_path(database: Path) -> Path:
    """Return the path of the write-ahead log of an SQLite database."""
    return database.with_name(f"{database.name}-wal")


def commit_without_sync(connection: Connection) -> None:
    """Let the commits of a connection no longer wait for the disk."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "postgresql":
        driver.execute("SET synchronous_commit = off")
        driver.commit()
    else:
        driver.execute("PRAGMA synchronous=NORMAL")
        driver.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # opens the log


def sync_sqlite_snapshot(connection: Connection, database: Path, sync: Sync | None) -> None:
    """Put on disk what the connection's snapshot sees, by `sync` or by itself."""
    connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").close()  # begins the snapshot
    path = log_path(database)
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    state = (status.st_ino, status.st_size, status.st_mtime_ns)
    if not status.st_size or connection.info.get(_ON_DISK) == state:
        return
    is_stable = time.time_ns() - status.st_mtime_ns > _STABLE_NANOSECONDS
    sync() if sync is not None else _sync_file(path)
    connection.info[_ON_DISK] = state if is_stable else None


def sync_postgres_snapshot(connection: Connection, sync: Sync | None) -> None:
    """As `sync_sqlite_snapshot`. By itself it waits until PostgreSQL's log writer has written the log."""
    row = connection.exec_driver_sql(_POSITIONS).first()
    if row is None or _is_flushed(inserted := row[0], row[1]):
        return
    if sync is not None:
        sync()
        return
    until = time.monotonic() + float(row[2])  # its limit for the delay of commits that did not wait for the disk
    while time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
        row = connection.exec_driver_sql(_POSITIONS).first()
        if row is None or _is_flushed(inserted, row[1]):
            return


def _is_flushed(inserted: int, flushed: int) -> bool:
    """Return whether the log is on disk up to a position, which may be behind the header of a page without content."""
    return flushed >= inserted or (flushed % _PAGE_BYTES == 0 and inserted - flushed <= _PAGE_HEADER_BYTES)


def _sync_file(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        _sync_data(file)
    finally:
        os.close(file)


def _sync_folder(path: Path) -> None:
    """Put the names in a folder on disk. Windows has no such call, and does not need it."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
