"""One clock for all processes on a database: their own clocks may differ, and they compare each other's times."""

import time

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.engine import Connection

_MICROSECONDS = 1_000_000


def now() -> Timestamp:
    """Return the time of this machine, in UTC, in whole microseconds."""
    seconds, microseconds = divmod(time.time_ns() // 1000, _MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=microseconds * 1000)


def database_time(connection: Connection) -> int:
    """Return the time of the database's machine, in microseconds since 1970."""
    if connection.dialect.name != "postgresql":
        return time.time_ns() // 1000
    seconds = connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return int(seconds * _MICROSECONDS)


def database_seconds(connection: Connection) -> int:
    """Return the time of the database's machine, in whole seconds since 1970."""
    return database_time(connection) // _MICROSECONDS
