"""Migrates the tables of a ledger when a process starts, under a lock, since several processes may start at once."""

import contextlib
import time
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.database.copies import refuse_remnants
from agent_server.database.engine import (
    LedgerError,
    connect,
    connect_reading,
    path_of,
    snapshot,
    unusable_database,
    writing,
)
from agent_server.ledger.chain import NOTHING, Signer, Unsigned, signed_head
from agent_server.ledger.schema import HEAD
from agent_server.ledger.transaction import lock_ledger, sign_head

NEWEST = "0023"
"""The revision that this program reads and writes. A test compares it with the folder of migrations."""
_FIRST, _WITH_ROWS = "0001", "0008"
_LOCK = 7_308_604_896  # an arbitrary number for PostgreSQL's advisory lock
_TIMEOUT_SECONDS = 60.0
_VERSION = sa.table("alembic_version", sa.column("version_num"))


def open_engine(url: str, signer: Signer | None = None) -> Engine:
    """Return an engine with up-to-date tables. Raises LedgerError if the database is unusable or of a newer program.

    If a migration adds to the chain, `signer` signs it.
    """
    path = path_of(url)
    if path is not None:
        refuse_remnants(path)
    engine = connect(url)
    try:
        _migrate_locked(engine, signer or Unsigned())
    except BaseException as error:
        engine.dispose()
        if isinstance(error, sa.exc.SQLAlchemyError | OSError):
            raise unusable_database(error) from error
        raise
    return engine


@contextlib.contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Yield one snapshot of a ledger, for commands. It creates, migrates and changes nothing. Raises LedgerError."""
    engine = connect_reading(url)
    try:
        with snapshot(engine) as connection:
            _check_version(connection)
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise unusable_database(error) from error
    finally:
        engine.dispose()


def _check_version(connection: Connection) -> None:
    """Raise LedgerError if the tables are not of the revision that this program reads."""
    revision = refuse_unknown(connection)
    if revision < NEWEST:
        raise LedgerError(
            f"the ledger is of an older program (its tables are at {revision}, this one reads {NEWEST}); "
            "start an agent of this version on it once, or read it with the version that wrote it"
        )


def refuse_unknown(connection: Connection) -> str:
    """Return the revision of the tables. Raises LedgerError if there are none, or if they are of a newer program."""
    revision = revision_of(connection)
    if revision is None:
        raise LedgerError("the database holds no ledger; check VOUCH_AGENT_LEDGER_URL, or --ledger")
    _refuse_newer(revision)
    return revision


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the tables; None if there are none."""
    return _revision(connection)[0]


def _revision(connection: Connection) -> tuple[str | None, bool]:
    """Return the revision of the tables, None if there are none, and whether it is recorded in the database."""
    tables = set(sa.inspect(connection).get_table_names())
    if "alembic_version" in tables:
        return connection.execute(sa.select(_VERSION.c.version_num)).scalar(), True
    return _FIRST if "decisions" in tables else None, False  # version 0.1 did not record it


def _refuse_newer(revision: str) -> None:
    if revision > NEWEST:
        raise LedgerError(
            f"the ledger is of a newer program (its tables are at {revision}, this one knows {NEWEST}); update this program"
        )


def _migrate_locked(engine: Engine, signer: Signer) -> None:
    last = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            with writing(engine) as connection, connection.begin():
                if engine.dialect.name == "postgresql":
                    # To build an index on a large table, or to wait for that, takes longer than any other statement.
                    connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                    connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                    connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
                _migrate_signed(connection, signer)
            return
        except sa.exc.OperationalError as error:
            # SQLite: another process migrates, which may take longer than a write waits.
            if "locked" not in str(error) or time.monotonic() > last:
                raise


def _migrate_signed(connection: Connection, signer: Signer) -> None:
    """Migrate, and sign the head of the chain if that moved it. Raises LedgerError if the key does not fit."""
    revision = revision_of(connection)
    before = None
    if revision is not None and NEWEST > revision > _FIRST:
        # Lock the head before any other lock, as every writer does, so that no two of them wait for each other. While
        # tables change, no process writes or swaps in a copy of a table.
        lock_ledger(connection)
        connection.execute(sa.select(HEAD.c.sequence).with_for_update())
    if revision is not None and _WITH_ROWS > revision > _FIRST:
        head = connection.execute(sa.select(HEAD.c.sequence, HEAD.c.hash, HEAD.c.signature)).one()
        before = (head.signature, signed_head(head.sequence, head.hash))
    migrate(connection)
    if before is None or before[0] == NOTHING:
        return
    if not signer.fits(*before):
        raise LedgerError(
            "the ledger is signed, and its tables have to be migrated; start an agent with its VOUCH_AGENT_LEDGER_KEY"
        )
    sign_head(connection, signer)


def migrate(connection: Connection, target: str = NEWEST) -> None:
    """Run missing migrations, in the connection's transaction. Raises LedgerError for a ledger of a newer program."""
    revision, known = _revision(connection)
    if revision == target:
        return
    if revision is not None:
        _refuse_newer(revision)
    _run_alembic(connection, revision, target, known=known)


def _run_alembic(connection: Connection, revision: str | None, target: str, *, known: bool) -> None:
    from alembic import command  # imported only when needed: it takes a fifth of a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "agent_server.ledger:migrations")
    config.attributes["connection"] = connection
    if revision is not None and not known:
        command.stamp(config, revision)
    command.upgrade(config, target)
