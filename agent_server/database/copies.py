"""Copies of SQLite databases, file by file: whole, on disk, and never half in place."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from agent_server.database.engine import LedgerError

_BUSY_SECONDS = 5.0


def copy_database(source: Path, target: Path) -> None:
    """Copy one state of a database, with its write-ahead log, into a new file of its owner's alone."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _opened(source, "mode=ro") as old, _opened(target, "mode=rw") as new:
        old.backup(new)  # at once: in steps it would begin anew with each write of others
    settle(target)


def settle(path: Path) -> None:
    """Make a database one file, without a log beside it, and put it on disk."""
    with _opened(path, "mode=rw") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    sync(path)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damage_of(path: Path, within_seconds: float | None = None) -> str | None:
    """What SQLite finds wrong with a database and its log; empty where nothing is, None where there was no time to find out.

    It changes neither: a log that is not this database's own would be written into it by whoever opens it to write.
    """
    try:
        with _opened(path, "mode=ro") as connection, _interrupting(connection, within_seconds):
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error) or "locked" in str(error):
            return None
        if "unable to open" in str(error):  # no right to make the files of a log, so that there is none to read
            return ""
        return str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else " ".join(found.split())


@contextlib.contextmanager
def _interrupting(connection: sqlite3.Connection, after_seconds: float | None) -> Iterator[None]:
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
    """Whether somebody else has a database open, in its mode with a write-ahead log."""
    try:
        with _opened(path, "mode=rw") as connection:
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.DatabaseError:  # damaged: nobody can work with it
        return False
    return False


def unfinished(path: Path) -> Path:
    """Where a copy lies that is about to become a database."""
    return path.with_name(f"{path.name}.restoring")


def refuse_remnants(path: Path) -> None:
    """Raise LedgerError where a database is missing, but what belongs to one lies there: a new one would hide that."""
    if path.exists():
        return
    log = path.with_name(f"{path.name}-wal")
    if unfinished(path).exists():
        raise LedgerError(f"a restore of {path} did not finish: run `vouch ledger restore` again")
    if log.exists() and log.stat().st_size:
        raise LedgerError(
            f"{log} lies there without its ledger {path}: put the ledger back, or restore a backup by `vouch ledger restore`"
        )


def take_place(path: Path) -> Path | None:
    """Let the copy at `unfinished(path)` become the database; where the one before it went, with its log.

    Whenever this is cut off, the old database is whole in its place, or `refuse_remnants` finds that none is.
    """
    old = None
    if path.exists() or any(_beside(path)):
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        old = path.with_name(f"{path.name}.replaced-{stamp}-{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
        for part in _beside(path):
            if part.name.endswith("-shm"):
                part.unlink()  # an index of the log, made anew
            else:
                part.rename(old.with_name(old.name + part.name.removeprefix(path.name)))
        sync(path.parent)
    unfinished(path).rename(path)
    sync(path.parent)
    return old


def _beside(path: Path) -> Iterator[Path]:
    for ending in ("-wal", "-shm", "-journal"):
        part = path.with_name(path.name + ending)
        if part.exists():
            yield part


@contextlib.contextmanager
def _opened(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{how}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        yield connection
    finally:
        connection.close()
