"""One clock for all processes on a database: theirs may differ, and what one writes another compares with its own."""

import time

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.engine import Connection

_MICROSECONDS = 1_000_000


def now() -> Timestamp:
    """Return the time of this machine, in UTC."""
    timestamp = Timestamp()
    timestamp.GetCurrentTime()
    return timestamp


def database_time(connection: Connection) -> int:
    """Return the time of the database's machine, in microseconds since 1970."""
    if connection.dialect.name != "postgresql":
        return time.time_ns() // 1000
    seconds = connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return int(seconds * _MICROSECONDS)


def database_seconds(connection: Connection) -> int:
    """Return the same in whole seconds."""
    return database_time(connection) // _MICROSECONDS
