"""Empty ledgers, copied from one that was migrated once, since each migration takes a tenth of a second."""

import contextlib
import functools
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agent_server.ledger import open_engine
from testing.servers.postgres import Postgres, name_of

_TEMPLATE = "ledger_template"


class _Compiled(sa.util.LRUCache[Any, Any]):
    """Compiled statements by database; engines compile their own, as each has its own dialect object."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), value)


_compiled = _Compiled(2000)


def compile_once() -> None:
    """Share compiled statements among all engines of this process."""
    sa.event.listen(sa.Engine, "engine_connect", _share)


def _share(connection: sa.Connection) -> None:
    connection.engine._compiled_cache = _compiled


def new_ledger(path: Path) -> str:
    """Return the URL of a new SQLite ledger, equal to one after its first start: times and keys are its own."""
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
    """Return the URL of a new PostgreSQL ledger, made in the same way."""
    url = server.new_database(_TEMPLATE)
    with server.connect(name_of(url)) as connection:
        row = (int(time.time()), os.urandom(32))
        connection.execute("INSERT INTO memory (id, number, since, key, folded_until, importing_until) "
                           "VALUES (1, 0, %s, %s, 0, 0)", row)  # fmt: skip
    return url


def make_server_with_template(folder: Path) -> None:
    """Start a server in a folder that others are copies of, with a migrated ledger."""
    server = Postgres(folder, {})
    server.start()
    _make_template(server)
    server.end()


def _make_template(server: Postgres) -> None:
    url = server.new_database()
    open_engine(url).dispose()
    name = name_of(url)
    with server.connect(name) as connection:  # no trace of its row, which each ledger has for itself
        connection.execute("DELETE FROM memory")
        connection.execute("VACUUM FULL memory")
    with server.connect() as connection:
        connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{_TEMPLATE}"'.encode())
