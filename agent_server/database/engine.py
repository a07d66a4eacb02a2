"""Opens the database: durable, with its tables in place, and closed to other users of the machine."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

WRITES = "vouch_writes"
"""Execution option of connections that write: SQLite then takes its lock at the start, not in the middle."""
CONNECT_SECONDS = 2
"""How long a connection to PostgreSQL may take to open."""
BUSY_SECONDS = 1.5
"""How long a write waits for others before it is refused: less than a caller waits."""
FAILING_SECONDS = 0.05
"""How long it waits after a write that failed: whoever retries then learns at once that nothing has changed."""
HANGING_MILLISECONDS = 1000
"""So long a write may do nothing while it holds what others wait for: less than these wait."""
_OPENING_SECONDS = 10.0


class LedgerError(Exception):
    """The ledger cannot be opened or used; the message says why, and what to do."""


def connect(url: str) -> Engine:
    """An engine for a ledger's URL, without a look at its tables. Raises LedgerError."""
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
            engine = sa.create_engine(address, connect_args=_postgres_options())
        else:
            engine = sa.create_engine(address)
        if engine.dialect.name == "sqlite":
            if path := file_of(engine):
                _make_private(path)
                engine = sa.create_engine(address, creator=lambda: _connected(path))
            sa.event.listen(engine, "connect", _durable)
            sa.event.listen(engine, "begin", _begin)
        return engine
    except (sa.exc.SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise unusable(error) from error


def _postgres_options(more: str = "") -> dict[str, Any]:
    options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)} -c statement_timeout=30000{more}"
    return {"connect_timeout": CONNECT_SECONDS, "options": options}


def connect_reading(url: str) -> Engine:
    """An engine that only reads: it makes no file, changes none, and needs no right to write. Raises LedgerError."""
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
            return sa.create_engine(address, connect_args=_postgres_options(" -c default_transaction_read_only=on"))
        engine = sa.create_engine(address)
        if engine.dialect.name == "sqlite":
            path = file_of(engine)
            if path is None or not path.is_file():
                raise LedgerError(f"there is no ledger at {path}: check VOUCH_AGENT_LEDGER_URL, or --ledger")
            engine = sa.create_engine(address, creator=lambda: _connected_reading(path))
            sa.event.listen(engine, "connect", _readable)
            sa.event.listen(engine, "begin", _begin)
        return engine
    except (sa.exc.SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise unusable(error) from error


def unusable(error: Exception) -> LedgerError:
    """What a user is told. Without the URL itself, which may hold a password."""
    words = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, ImportError) and "psycopg" in words:
        words = "PostgreSQL needs the extra: pip install 'vouch[postgres]'"
    return LedgerError(f"the ledger that VOUCH_AGENT_LEDGER_URL names cannot be opened: {words}")


def writing(engine: Engine) -> Connection:
    """A connection for writes."""
    return engine.connect().execution_options(**{WRITES: True})


@contextlib.contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements all see one state of the database, and that cannot write.

    The only way to read: PostgreSQL's default shows each statement a newer state, so that a comparison of what two of them
    read finds differences that were never there.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA query_only=ON")
        try:
            yield connection
        finally:
            connection.rollback()
            if not connection.invalidated:
                driver.execute("PRAGMA query_only=OFF")


def set_idle_in_transaction_timeout(connection: Connection) -> None:
    """Let PostgreSQL end a connection that hangs in the middle of a write, and so holds the head of the chain for all others.

    For one that never goes back into a pool: who reads may pause for longer.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET idle_in_transaction_session_timeout = {HANGING_MILLISECONDS}")
        connection.commit()


def wait_for_locks(connection: Connection, seconds: float | None = None) -> None:
    """Set how long a connection waits for the locks of others; without a number, as long as a write does."""
    milliseconds = int((BUSY_SECONDS if seconds is None else seconds) * 1000)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET lock_timeout = {milliseconds}")
        connection.commit()
    else:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout={milliseconds}")


def file_of(engine: Engine) -> Path | None:
    """The file of an SQLite database; None for one in memory and for servers."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None


def path_of(url: str) -> Path | None:
    """The file that a URL names; None for one in memory and for servers. Raises LedgerError."""
    address = _address(url)
    named = address.get_backend_name() == "sqlite" and not is_in_memory(url)
    return Path(address.database) if named and address.database else None


def is_in_memory(url: str) -> bool:
    """Whether a URL names an SQLite database in memory. Raises LedgerError."""
    address = _address(url)
    return address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:")


def _address(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise unusable(error) from error


def _make_private(path: Path) -> None:
    """Orders are personal: nobody else on the machine reads them. SQLite gives its other files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if path.stat().st_uid == os.getuid():
        path.chmod(0o600)


def _connected(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there. By the path alone SQLite would make a new one where a ledger was moved away, and
    throw away the write-ahead log that lies beside it.
    """
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, check_same_thread=False)


def _connected_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. SQLite reads beside a write-ahead log, which it has to make where nobody writes: where it
    must not, and there is none, the file holds all.
    """
    where = f"file:{quote(str(path))}?mode=ro"
    connection = sqlite3.connect(where, uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        connection = sqlite3.connect(f"{where}&immutable=1", uri=True, check_same_thread=False)
    return connection


def _readable(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")


def _durable(connection: Any, record: Any) -> None:
    # Python's driver would open no transaction before a SAVEPOINT, so that its RELEASE commits: `_begin` opens all of them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    last = time.monotonic() + _OPENING_SECONDS
    while True:  # the change to WAL needs the file alone and does not wait for it by itself
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except connection.OperationalError:
            if time.monotonic() > last:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")  # what was erased is overwritten, not only forgotten


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def committing(connection: Connection, *, on_disk: bool) -> Iterator[None]:
    """A transaction; its commit is on disk before this ends, or else before the next one that is.

    Both databases write one log: what syncs a later part of it syncs all before. Nothing on disk misses what it rests on.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA synchronous={'FULL' if on_disk else 'NORMAL'}")
    with connection.begin():
        if connection.dialect.name == "postgresql" and not on_disk:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield
