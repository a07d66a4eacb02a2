"""Opens the database: durable, with its tables in place, and closed to other users of the machine."""

import os
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.ledger.schema import METADATA

WRITES = "vouch_writes"
"""Execution option of connections that write: SQLite then takes its lock at the start, not in the middle."""
_BUSY_SECONDS = 5
_SCHEMA_LOCK = 7_308_604_896  # any number that nobody else locks: "vouch" as PostgreSQL's advisory lock


class LedgerError(Exception):
    """The ledger cannot be opened; the message says where it was looked for."""


def open_engine(url: str) -> Engine:
    """An engine with the tables in place; raise LedgerError when the database does not let us."""
    try:
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            if path := file_of(engine):
                _make_private(path)
            sa.event.listen(engine, "connect", _durable)
            sa.event.listen(engine, "begin", _begin)
        with writing(engine) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            METADATA.create_all(connection)  # under a lock: several processes may start at once
    except (sa.exc.SQLAlchemyError, ImportError, ValueError, OSError) as error:
        # Without the URL itself, which may hold a password.
        raise LedgerError(
            f"the ledger that VOUCH_AGENT_LEDGER_URL names cannot be opened: {str(error).splitlines()[0]}"
        ) from error
    return engine


def writing(engine: Engine) -> Connection:
    """A connection for writes."""
    return engine.connect().execution_options(**{WRITES: True})


def file_of(engine: Engine) -> Path | None:
    """The file of an SQLite database; None for one in memory and for servers."""
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name and name != ":memory:" else None


def _make_private(path: Path) -> None:
    """Orders are personal: nobody else on the machine reads them. SQLite gives its other files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if path.stat().st_uid == os.getuid():
        path.chmod(0o600)


def _durable(connection: Any, record: Any) -> None:
    # Python's driver would open no transaction before a SAVEPOINT, so that its RELEASE commits: `_begin` opens all of them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}")
    last = time.monotonic() + _BUSY_SECONDS
    while True:  # the change to WAL needs the file alone and does not wait for it by itself
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except connection.OperationalError:
            if time.monotonic() > last:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=FULL")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
