"""Connections to the database: durable, and closed to other users of the machine."""

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

from agent_server.database.log import Sync, log_path, sync_postgres_snapshot, sync_sqlite_snapshot
from agent_server.database.prepared import run_on_driver

WRITES = "vouch_writes"
"""Execution option of connections that write: SQLite then locks at the start of a transaction, not in the middle."""
CONNECT_SECONDS = 2
"""Timeout for opening a connection to PostgreSQL."""
BUSY_SECONDS = 1.5
"""How long a write waits for the locks of others before it fails: less than the write timeout."""
FAILING_SECONDS = 0.05
"""The same after a write that failed: a caller that retries then learns at once that nothing has changed."""
IDLE_MILLISECONDS = 1000
"""How long a write may be idle while it holds the head of the chain: less than other writes wait for it."""
MAX_CONNECTIONS = 20
"""Connections of a process to PostgreSQL: 3 that write, one for each thread that reads, and those of erasures."""
_KEPT_CONNECTIONS = 5
_OPENING_SECONDS = 10.0


class LedgerError(Exception):
    """The ledger cannot be opened or used. The message says why, and what to do."""


class DamagedLedger(LedgerError):
    """The ledger can be read, but its file or its head is damaged."""


def connect(url: str) -> Engine:
    """Return an engine for a ledger's URL, whatever its tables. Raises LedgerError."""
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
            engine = sa.create_engine(
                address, connect_args=_postgres_options(), pool_size=_KEPT_CONNECTIONS,
                max_overflow=MAX_CONNECTIONS - _KEPT_CONNECTIONS,
            )  # fmt: skip
        else:
            engine = sa.create_engine(address)
        if engine.dialect.name == "sqlite":
            if path := file_of(engine):
                _make_private(path)
                engine = sa.create_engine(address, creator=lambda: _connect_file(path))
            sa.event.listen(engine, "connect", _configure_durable)
            sa.event.listen(engine, "begin", _begin)
        return engine
    except (sa.exc.SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise unusable_database(error) from error


def _postgres_options(more: str = "") -> dict[str, Any]:
    options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)} -c statement_timeout=30000{more}"
    return {"connect_timeout": CONNECT_SECONDS, "options": options}


def connect_reading(url: str) -> Engine:
    """Return an engine that only reads: it changes no file, and needs no permission to write. Raises LedgerError."""
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
            engine = sa.create_engine(address, creator=lambda: _connect_file_reading(path))
            sa.event.listen(engine, "connect", _configure_reader)
            sa.event.listen(engine, "begin", _begin)
        return engine
    except (sa.exc.SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise unusable_database(error) from error


def unusable_database(error: Exception) -> LedgerError:
    """Return the error for users. It does not contain the URL, which may hold a password."""
    cause = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, ImportError) and "psycopg" in cause:
        cause = "PostgreSQL needs the extra \"postgres\"; pip install 'vouch[postgres]'"
    return LedgerError(f"the ledger that VOUCH_AGENT_LEDGER_URL names cannot be opened: {cause}")


def writing(engine: Engine) -> Connection:
    """Return a connection for writes."""
    return engine.connect().execution_options(**{WRITES: True})


@contextlib.contextmanager
def snapshot(engine: Engine, sync: Sync | None = None) -> Iterator[Connection]:
    """Yield a connection whose statements all see one state of the database, and that cannot write.

    This is the only way to read. By default PostgreSQL shows each statement a newer state, so that a comparison of the
    results of two statements finds differences that never existed.

    All that it shows is on disk: the writer of a ledger commits before the log is synced. `sync` puts the log on disk,
    by default this thread does.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            reading = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            sync_postgres_snapshot(reading, sync)
            yield reading
            return
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA query_only=ON")
        try:
            if path := file_of(engine):
                sync_sqlite_snapshot(connection, path, sync)
            yield connection
        finally:
            connection.rollback()
            if not connection.invalidated:
                driver.execute("PRAGMA query_only=OFF")


def set_idle_in_transaction_timeout(connection: Connection) -> None:
    """Let PostgreSQL end a connection that is idle in the middle of a write, where it holds the head of the chain.

    Only for a connection that never returns to a pool: readers may be idle for longer.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET idle_in_transaction_session_timeout = {IDLE_MILLISECONDS}")
        connection.commit()


def wait_for_locks(connection: Connection, seconds: float | None = None) -> None:
    """Set how long a connection waits for the locks of others; by default as long as a write does."""
    milliseconds = int((BUSY_SECONDS if seconds is None else seconds) * 1000)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET lock_timeout = {milliseconds}")
        connection.commit()
    else:
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout={milliseconds}")


def file_of(engine: Engine) -> Path | None:
    """Return the file of an SQLite database; None for one in memory and for servers."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None


def path_of(url: str) -> Path | None:
    """Return the file that a URL names; None for a database in memory and for servers. Raises LedgerError."""
    address = _address(url)
    named = address.get_backend_name() == "sqlite" and not is_in_memory(url)
    return Path(address.database) if named and address.database else None


def is_in_memory(url: str) -> bool:
    """Return whether a URL names an SQLite database in memory. Raises LedgerError."""
    address = _address(url)
    return address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:")


def _address(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise unusable_database(error) from error


def _make_private(path: Path) -> None:
    """Let only the owner read the file: orders are personal. SQLite gives its other files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if path.stat().st_uid == os.getuid():
        path.chmod(0o600)


def _connect_file(path: Path) -> sqlite3.Connection:
    """Return a connection to an existing file. By path alone SQLite would create a new file if the ledger was moved
    away, and discard the write-ahead log that is left there.
    """
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, check_same_thread=False)


def _connect_file_reading(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write. Without a writer SQLite has to create the files of the write-ahead log in
    order to read. If it may not do so and there is no log, the file alone is complete.
    """
    where = f"file:{quote(str(path))}?mode=ro"
    connection = sqlite3.connect(where, uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        log = log_path(path)
        if log.exists() and log.stat().st_size:
            raise
        connection = sqlite3.connect(f"{where}&immutable=1", uri=True, check_same_thread=False)
    return connection


def _configure_reader(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")


def _configure_durable(connection: Any, record: Any) -> None:
    # Python's driver opens no transaction before a SAVEPOINT, so that its RELEASE would commit; `_begin` opens one.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    last = time.monotonic() + _OPENING_SECONDS
    while True:  # the change to WAL needs exclusive access, and does not wait for it
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except connection.OperationalError:
            if time.monotonic() > last:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")  # overwrite what is erased


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    run_on_driver(connection, begin, lambda driver: driver.execute(begin))


@contextlib.contextmanager
def committing(connection: Connection, *, on_disk: bool) -> Iterator[None]:
    """Run a transaction. Its commit is on disk at the end; without `on_disk`, no later than the next commit that is.

    Both databases have one log: to sync a part of it syncs all before. So nothing on disk depends on something that is
    not.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA synchronous={'FULL' if on_disk else 'NORMAL'}")
    with connection.begin():
        if connection.dialect.name == "postgresql" and not on_disk:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield
