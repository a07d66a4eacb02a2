"""Ledgers with nothing in them: copies of one that was migrated once, since each migration takes a tenth of a second."""

import contextlib
import functools
import os
import sqlite3
import tempfile
import time
from pathlib import Path

import psycopg

from agent_server.ledger import open_engine
from testing.servers.postgres import Postgres

_TEMPLATE = "ledger_template"


def new_ledger(path: Path) -> str:
    """The URL of a new ledger in a file of SQLite, as its first start leaves it: what holds a time or a key is its own."""
    path.write_bytes(_content())
    path.chmod(0o600)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("UPDATE memory SET since = ?, key = ?", (int(time.time()), os.urandom(32)))
    return f"sqlite:///{path}"


@functools.cache
def _content() -> bytes:
    with tempfile.TemporaryDirectory(prefix="vouch-ledger-") as folder:
        path = Path(folder) / "ledger.db"
        open_engine(f"sqlite:///{path}").dispose()
        return path.read_bytes()


def new_ledger_on(server: Postgres) -> str:
    """The URL of a new ledger in a database of PostgreSQL, in the same way."""
    try:
        url = server.new_database(_TEMPLATE)
    except psycopg.errors.InvalidCatalogName:  # the server's first one
        _make_template(server)
        url = server.new_database(_TEMPLATE)
    with server.connect(url.rpartition("/")[2]) as connection:
        row = (int(time.time()), os.urandom(32))
        connection.execute("INSERT INTO memory (id, number, since, key, folded_until, importing_until) "
                           "VALUES (1, 0, %s, %s, 0, 0)", row)  # fmt: skip
    return url


def _make_template(server: Postgres) -> None:
    url = server.new_database()
    open_engine(url).dispose()
    name = url.rpartition("/")[2]
    with server.connect(name) as connection:  # no trace of its row, which a ledger has for itself
        connection.execute("DELETE FROM memory")
        connection.execute("VACUUM FULL memory")
    with server.connect() as connection:
        connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{_TEMPLATE}"'.encode())
