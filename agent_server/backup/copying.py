"""Backups: one state of a ledger as an SQLite file, whatever its database, and its restore.

A backup is a ledger of its own: `vouch audit --ledger sqlite:///FILE verify` verifies it, and it can be restored into
either database.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.backup.starting import check_ledger
from agent_server.cases.tables import CASE_CHANGES
from agent_server.database.copies import copy_database, is_in_use, make_single_file, restoring_path, swap_in, sync
from agent_server.database.engine import LedgerError, connect_reading, path_of, snapshot, writing
from agent_server.ledger.chain import Signer
from agent_server.ledger.migrate import open_engine, reading, refuse_unknown
from agent_server.ledger.removal import request_removal
from agent_server.ledger.schema import ERASURE_PROGRESS, HEAD, MEMORY, PROOFS
from agent_server.ledger.transaction import lock_ledger
from agent_server.tables import METADATA

_AT_ONCE: Final = 1000
_TABLES: Final = METADATA.sorted_tables
_IN_EVERY_LEDGER: Final = (ERASURE_PROGRESS, HEAD, MEMORY, PROOFS)
"""Tables that have rows even in an empty ledger."""


def back_up(url: str, output: Path, *, force: bool, signer: Signer | None = None) -> int:
    """Write a backup while the ledger serves; return its number of entries. Raises LedgerError."""
    if output.exists() and not force:
        raise LedgerError(f"{output} exists; choose another name, or give --force to replace it")
    source = path_of(url)
    if source is not None and output.exists() and source.exists() and output.samefile(source):
        raise LedgerError(f"{output} is the ledger itself")
    partial = output.with_name(f".{output.name}.partial")
    try:
        _remove(partial)  # of an interrupted backup
        if source is None:
            with reading(url) as connection:
                _dump(connection, partial)
        else:
            connect_reading(url).dispose()  # raises if there is no file
            copy_database(source, partial)
        entries = _check_file(partial, signer)
        partial.replace(output)
        sync(output.parent)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"the backup {output} cannot be written: {error}") from error
    finally:
        _remove(partial)
    return entries


def restore(backup: Path, url: str, *, force: bool, signer: Signer | None = None) -> tuple[int, Path | None]:
    """Restore a ledger from a backup.

    Return its number of entries, and the new path of the old ledger, if there was one. Raises LedgerError.
    """
    if not backup.is_file():
        raise LedgerError(f"there is no backup at {backup}")
    entries = _check_file(backup, signer)
    target = path_of(url)
    if target is None:
        return _load(backup, url, force=force, signer=signer), None
    if target.exists() and target.samefile(backup):
        raise LedgerError(f"{backup} is the ledger itself")
    existing = [part for part in (target, target.with_name(f"{target.name}-wal")) if part.exists()]
    if existing and not force:
        raise LedgerError(f"{existing[0]} exists; stop its agents, and give --force to replace it")
    if target.exists() and is_in_use(target):
        raise LedgerError(f"{target} is in use; stop its agents first")
    try:
        _remove(restoring_path(target))  # of an interrupted restore
        copy_database(backup, restoring_path(target))
        _check_file(restoring_path(target), signer)
        old = swap_in(target)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(f"the ledger {target} cannot be restored: {error}") from error
    return entries, old


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _check_file(path: Path, signer: Signer | None) -> int:
    """Check a ledger's file; return its number of entries. Raises LedgerError if it is damaged, or of a newer program."""
    url = f"sqlite:///{path}"
    check_ledger(url, signer, None)
    engine = connect_reading(url)
    try:
        with snapshot(engine) as connection:
            refuse_unknown(connection)
            return _count_entries(connection) if sa.inspect(connection).has_table(HEAD.name) else 0
    finally:
        engine.dispose()


def _count_entries(connection: Connection) -> int:
    return int(connection.execute(sa.select(HEAD.c.sequence)).scalar_one())


def _dump(source: Connection, path: Path) -> None:
    """Write all tables of a snapshot into a new SQLite ledger."""
    engine = open_engine(f"sqlite:///{path}")
    try:
        with writing(engine) as target, target.begin():
            _replace_rows(source, target)
    finally:
        engine.dispose()
    make_single_file(path)


def _load(path: Path, url: str, *, force: bool, signer: Signer | None) -> int:
    """Replace all tables of a database by those of a backup, in one transaction."""
    engine = open_engine(url, signer)
    try:
        with reading(f"sqlite:///{path}") as source, writing(engine) as target, target.begin():
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                target.exec_driver_sql(f"SET LOCAL {limit} = 0")
            lock_ledger(target)
            entries = target.execute(sa.select(HEAD.c.sequence).with_for_update()).scalar_one()
            if entries and not force:
                raise LedgerError(
                    f"the database has a ledger of {entries:,} entries; stop its agents, and give --force to replace it"
                )
            target.exec_driver_sql(f"LOCK TABLE {', '.join(table.name for table in _TABLES)} IN ACCESS EXCLUSIVE MODE")
            used = _is_used(target)
            _replace_rows(source, target)
            if used:  # PostgreSQL keeps the bytes of deleted rows, and there may be unfinished copies
                target.execute(request_removal())
                target.execute(ERASURE_PROGRESS.update().values(owner="", leased_until=0))
            newest = sa.select(sa.func.coalesce(sa.func.max(CASE_CHANGES.c.change), 0) + 1).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(CASE_CHANGES.name, CASE_CHANGES.c.change.name)
            target.execute(sa.select(sa.func.setval(sequence, newest, False)))
            return _count_entries(source)
    finally:
        engine.dispose()


def _is_used(connection: Connection) -> bool:
    """Return whether a database's files may contain rows of an earlier ledger."""
    if connection.execute(sa.select(ERASURE_PROGRESS.c.requested)).scalar_one():
        return True
    tables = [table for table in _TABLES if table not in _IN_EVERY_LEDGER]
    return any(connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() for table in tables)


def _replace_rows(source: Connection, target: Connection) -> None:
    for table in _TABLES:
        target.execute(table.delete())
        for rows in _chunks(source, table):
            target.execute(table.insert(), rows)


def _chunks(source: Connection, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    with source.execution_options(yield_per=_AT_ONCE).execute(sa.select(table)) as found:
        for rows in found.mappings().partitions():
            yield [dict(row) for row in rows]
