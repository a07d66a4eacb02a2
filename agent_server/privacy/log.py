"""Removes erased data from the write-ahead logs, which keep old versions of pages for a while."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.database.clock import database_time
from agent_server.database.engine import file_of
from agent_server.privacy.rewriting import WorkBlocked, WorkIncomplete
from agent_server.privacy.rewriting_postgres import wait_for_snapshots

MAX_SWITCHES: Final = 16
"""Segments of PostgreSQL's log, usually of 16 MB, that are filled up at once."""
_CHECKPOINT_MILLISECONDS: Final = 100
_CHECKPOINTS, _PAUSE_SECONDS = 10, 0.15
_MICROSECONDS: Final = 1_000_000
_SEGMENTS = """
SELECT name, name < pg_walfile_name(pg_current_wal_insert_lsn()) AS behind FROM pg_ls_waldir()
WHERE name ~ '^[0-9A-F]{24}$' AND name <> pg_walfile_name(pg_current_wal_insert_lsn())
AND modification <= to_timestamp(:second)
"""
_DENIED: Final = frozenset(("42501",))
_GRANTS = (
    "the database user may not read the write-ahead log; grant it pg_monitor and pg_checkpoint, and EXECUTE on "
    "pg_switch_wal(), or run `vouch privacy scrub` as a superuser"
)
_RETAINED = (
    "the write-ahead log keeps old segments, for an archive, a standby or a replication slot; they have to be "
    "archived or dropped"
)
_CATALOGUE = "the database user does not own the database; run `vouch privacy scrub` as its owner"
SQLITE_READERS = "a reader keeps the write-ahead log; reports, backups and open sqlite3 shells have to end"


def empty_sqlite_log(engine: Engine) -> None:
    """Empty SQLite's log. Raises WorkBlocked if a reader keeps it. Writers wait only a moment at a time."""
    if file_of(engine) is None:
        return
    with _checkpoints(engine) as checkpoint:
        for _ in range(_CHECKPOINTS):
            busy, _, _ = checkpoint("TRUNCATE")
            if not busy:
                return
            time.sleep(_PAUSE_SECONDS)
    raise WorkBlocked(SQLITE_READERS)


def check_sqlite_readers(engine: Engine) -> None:
    """Raise WorkBlocked if a reader keeps the current log, which would then grow by all that is written."""
    if file_of(engine) is None:
        return
    with _checkpoints(engine) as checkpoint:
        _, wanted, done = checkpoint("PASSIVE")
        for _ in range(_CHECKPOINTS):
            if done >= wanted:
                return
            time.sleep(_PAUSE_SECONDS)
            _, logged, done = checkpoint("PASSIVE")
            wanted = min(wanted, logged)  # the log restarted
    raise WorkBlocked(SQLITE_READERS)


@contextmanager
def _checkpoints(engine: Engine) -> Iterator[Callable[[str], tuple[int, int, int]]]:
    """Yield a function that makes a checkpoint, on a connection that waits only a moment for others."""
    driver = engine.raw_connection()
    cursor: Any = driver.cursor()
    (before,) = cursor.execute("PRAGMA busy_timeout").fetchone()
    cursor.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}")
    try:
        yield lambda mode: cursor.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {before}")
        driver.close()


def clear_statistics(connection: Connection) -> None:
    """Rewrite PostgreSQL's statistics, which contain common values of columns and some others. Raises WorkBlocked."""
    owns = "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"
    with connection.begin():
        if not connection.execute(sa.text(owns)).scalar_one():
            raise WorkBlocked(_CATALOGUE)
        wait_for_snapshots(connection)
    _run(connection, "SET lock_timeout = 1000", "VACUUM FULL pg_statistic")


def end_log(connection: Connection) -> int:
    """Begin a new segment of PostgreSQL's log; return the time when the older ones ended. Raises WorkBlocked."""
    _switch_segment(connection)
    with connection.begin():
        ends_at = database_time(connection)
    time.sleep(1.05 - ends_at % _MICROSECONDS / _MICROSECONDS)  # file times are whole seconds
    return ends_at


def clear_log(connection: Connection, ends_at: int) -> None:
    """Let PostgreSQL remove or overwrite all segments of its log that were written before a time. Raises WorkBlocked.

    PostgreSQL renames a segment that it no longer needs to a future one, and keeps its content until it is written
    again. So this goes through the segments: it writes a little and switches to the next one, which fills the rest with
    zeros.
    """
    _run(connection, "CHECKPOINT")
    segments = _segments_before(connection, ends_at)
    if any(row.behind for row in segments):
        raise WorkBlocked(_RETAINED)
    for _ in segments[:MAX_SWITCHES]:
        started = time.perf_counter()
        _switch_segment(connection)  # commits wait while it fills the segment
        time.sleep(min(max(0.05, 2 * (time.perf_counter() - started)), 1.0))
    if segments and _segments_before(connection, ends_at):
        raise WorkIncomplete("the write-ahead log is being overwritten, some segments at a time")
    _switch_segment(connection)  # the current segment may be an old one: end it


def _segments_before(connection: Connection, ends_at: int) -> list[Any]:
    """Return the segments but the current one that were written before a time. File times are whole seconds."""
    with connection.begin():
        try:
            return list(connection.execute(sa.text(_SEGMENTS), {"second": ends_at // _MICROSECONDS}))
        except sa.exc.DBAPIError as error:
            raise _explain(error) from error


def _switch_segment(connection: Connection) -> None:
    """Write something, and begin the next segment. Without a write PostgreSQL would not switch."""
    _run(connection, "SELECT pg_logical_emit_message(false, 'vouch', '')", "SELECT pg_switch_wal()")


def _run(connection: Connection, *statements: str) -> None:
    """Run statements, each in its own transaction, without a timeout."""
    driver: Any = connection.connection.driver_connection
    connection.rollback()
    driver.autocommit = True
    try:
        driver.execute("SET statement_timeout = 0")
        for statement in statements:
            driver.execute(statement)
    except Exception as error:
        raise _explain(error) from error
    finally:
        with suppress(Exception):  # the connection was lost
            driver.execute("RESET ALL")  # to the engine's options
            driver.autocommit = False


def _explain(error: Exception) -> Exception:
    state = getattr(getattr(error, "orig", None) or error, "sqlstate", "")
    if state in _DENIED:
        return WorkBlocked(_GRANTS)
    if state == "55P03":
        return WorkBlocked("other work of the database blocks this; it is retried")
    return error
