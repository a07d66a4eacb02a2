"""Brings a ledger's tables up to date at the start, under a lock: several processes may start at once."""

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.database.engine import LedgerError, connect, unusable, writing

NEWEST = "0011"
"""The revision that this program reads and writes; a test holds it against the folder of migrations."""
_FIRST = "0001"
_LOCK = 7_308_604_896  # any number that nobody else locks: "vouch" as PostgreSQL's advisory lock
_PATIENCE_SECONDS = 60.0
_VERSION = sa.table("alembic_version", sa.column("version_num"))


def open_engine(url: str) -> Engine:
    """An engine with the tables in place. Raises LedgerError where the database does not let us, or is newer than we."""
    engine = connect(url)
    try:
        _up_to_date(engine)
    except BaseException as error:
        engine.dispose()
        if isinstance(error, sa.exc.SQLAlchemyError | OSError):
            raise unusable(error) from error
        raise
    return engine


def _up_to_date(engine: Engine) -> None:
    last = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            with writing(engine) as connection, connection.begin():
                if engine.dialect.name == "postgresql":
                    connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                migrate(connection)
            return
        except sa.exc.OperationalError as error:
            # SQLite: somebody else migrates, and that may take longer than a write waits.
            if "locked" not in str(error) or time.monotonic() > last:
                raise


def migrate(connection: Connection, target: str = NEWEST) -> None:
    """Run what is missing, within the connection's transaction. Raises LedgerError for a ledger of a newer program."""
    tables = set(sa.inspect(connection).get_table_names())
    revision = None
    if "alembic_version" in tables:
        revision = connection.execute(sa.select(_VERSION.c.version_num)).scalar()
    elif "decisions" in tables:
        revision = _FIRST  # version 0.1 kept no number
    if revision == target:
        return
    if revision is not None and revision > NEWEST:
        raise LedgerError(
            f"the ledger is of a newer program (its tables are at {revision}, this one knows {NEWEST}): update this program"
        )
    _run(connection, revision, target, known="alembic_version" in tables)


def _run(connection: Connection, revision: str | None, target: str, *, known: bool) -> None:
    from alembic import command  # imported where there is something to do: it takes a fifth of a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "agent_server.ledger:migrations")
    config.attributes["connection"] = connection
    if revision is not None and not known:
        command.stamp(config, revision)
    command.upgrade(config, target)
