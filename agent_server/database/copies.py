"""Copies of SQLite databases as files: complete, on disk, and swapped in atomically."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from agent_server.database.engine import LedgerError
from agent_server.database.log import log_path

_BUSY_SECONDS = 5.0


def copy_database(source: Path, target: Path) -> None:
    """Copy one state of a database, with its write-ahead log, into a new file that only its owner can read."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _open(source, "mode=ro") as old, _open(target, "mode=rw") as new:
        old.backup(new)  # in one step: in several it would restart with each write of others
    with contextlib.suppress(FileNotFoundError):
        sync(log_path(source))  # the copy may contain commits that were not on disk yet
    make_single_file(target)


def make_single_file(path: Path) -> None:
    """Make a database a single file without a log, and put it on disk."""
    with _open(path, "mode=rw") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    sync(path)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find_damage(path: Path, within_seconds: float | None = None) -> str | None:
    """Return what SQLite finds wrong with a database and its log; empty for nothing, None if the time was too short.

    It changes neither: any connection that can write would apply a log to the database, even one that is not its own.
    """
    try:
        with _open(path, "mode=ro") as connection, _interrupt_after(connection, within_seconds):
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error) or "locked" in str(error):
            return None
        if "unable to open" in str(error):  # no permission to create the files of a log, so there is none to read
            return ""
        return str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else " ".join(found.split())


@contextlib.contextmanager
def _interrupt_after(connection: sqlite3.Connection, after_seconds: float | None) -> Iterator[None]:
    if after_seconds is None:
        yield
        return
    timer = threading.Timer(after_seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def is_in_use(path: Path) -> bool:
    """Return whether another process has a database open, in its mode with a write-ahead log."""
    try:
        with _open(path, "mode=rw") as connection:
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.DatabaseError:  # damaged: no process can use it
        return False
    return False


def restoring_path(path: Path) -> Path:
    """Return the path of a copy that is about to become a database."""
    return path.with_name(f"{path.name}.restoring")


def refuse_remnants(path: Path) -> None:
    """Raise LedgerError if a database is missing but files of one exist: a new database would hide that."""
    if path.exists():
        return
    log = log_path(path)
    if restoring_path(path).exists():
        raise LedgerError(f"a restore of {path} did not finish; run `vouch ledger restore` again")
    if log.exists() and log.stat().st_size:
        raise LedgerError(
            f"{log} exists without its ledger {path}; put it back, or restore a backup by `vouch ledger restore`"
        )


def swap_in(path: Path) -> Path | None:
    """Make the copy at `restoring_path(path)` the database; return the new path of the old database, which keeps its log.

    If this is interrupted, either the old database is complete in its place, or `refuse_remnants` finds that there is
    none.
    """
    old = None
    if path.exists() or any(_companion_files(path)):
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        old = path.with_name(f"{path.name}.replaced-{stamp}-{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
        for part in _companion_files(path):
            if part.name.endswith("-shm"):
                part.unlink()  # an index of the log, which SQLite recreates
            else:
                part.rename(old.with_name(old.name + part.name.removeprefix(path.name)))
        sync(path.parent)
    restoring_path(path).rename(path)
    sync(path.parent)
    return old


def _companion_files(path: Path) -> Iterator[Path]:
    for ending in ("-wal", "-shm", "-journal"):
        part = path.with_name(path.name + ending)
        if part.exists():
            yield part


@contextlib.contextmanager
def _open(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{how}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        yield connection
    finally:
        connection.close()
