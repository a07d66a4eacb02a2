"""A connection to PostgreSQL that sends statements without waiting for the results of those before."""

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine


def connect_pipelined(engine: Engine) -> Connection:
    """Return a connection for `pipelined`. It is in autocommit mode, so that the driver begins no transaction.

    Its queries look up rows by an index. PostgreSQL keeps their plans, and one that was made while a table was small
    would scan the whole of it later.
    """
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    connection.exec_driver_sql("SET enable_seqscan = off")
    return connection


@contextlib.contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Run a transaction, which begins and commits by statements like all others. Roll back after an error."""
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi.Error
    failure: BaseException | None = None
    try:
        with driver.pipeline():
            try:
                yield
            except BaseException as error:  # kept: the end of the pipeline fails too, and psycopg would log that
                failure = error
    except errors as error:
        failure = failure or sa.exc.DBAPIError.instance(
            "", None, error, errors, hide_parameters=True, dialect=connection.dialect
        )
    if failure is not None:
        with contextlib.suppress(errors):
            driver.rollback()
        raise failure
