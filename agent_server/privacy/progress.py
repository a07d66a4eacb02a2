"""The progress of erasures in the database's files, recorded in the ledger, so that the work survives restarts."""

from dataclasses import dataclass
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.clock import database_time
from agent_server.ledger.schema import ERASURE_PROGRESS, HEAD
from agent_server.ledger.transaction import lock_ledger

LEASE_SECONDS = 30.0
"""A process that does not renew its lease for this long loses the work to another one."""
_MICROSECONDS = 1_000_000


class Stage(Enum):
    """The work that is left."""

    DONE = "done"
    TABLES = "tables"
    """Files of tables may still hold erased bytes."""
    LOG = "log"
    """The write-ahead log may still hold erased bytes."""


@dataclass(frozen=True)
class Progress:
    """The state of the work. Numbers count erasures, times are in microseconds since 1970; see ERASURE_PROGRESS."""

    requested: int
    rewritten: int
    cleared: int
    since: int
    log_ends_at: int
    owner: str
    leased_until: int
    waiting_for: str

    @property
    def stage(self) -> Stage:
        """The work that is left."""
        if self.cleared >= self.requested:
            return Stage.DONE
        return Stage.TABLES if self.rewritten < self.requested else Stage.LOG


def read_progress(connection: Connection) -> Progress:
    """Return the state of the work."""
    row = connection.execute(sa.select(ERASURE_PROGRESS)).one()
    return Progress(
        row.requested, row.rewritten, row.cleared, row.since, row.log_ends_at, row.owner, row.leased_until,
        row.waiting_for,
    )  # fmt: skip


def lock_writes(connection: Connection) -> None:
    """Lock out all other writers of the ledger until the transaction ends. SQLite does so anyway."""
    lock_ledger(connection)
    connection.execute(sa.select(HEAD.c.sequence).with_for_update())


def take_lease(connection: Connection, owner: str) -> bool:
    """Take the lease; return whether the caller has it. Call it in a transaction that locks writes."""
    free = sa.or_(
        ERASURE_PROGRESS.c.owner.in_(("", owner)), ERASURE_PROGRESS.c.leased_until < database_time(connection)
    )
    return _update_lease(connection, owner, free)


def renew_lease(connection: Connection, owner: str) -> bool:
    """Renew the lease; return False if it was lost, even if it is free again: then the copies are not the caller's."""
    return _update_lease(connection, owner, ERASURE_PROGRESS.c.owner == owner)


def _update_lease(connection: Connection, owner: str, condition: sa.ColumnElement[bool]) -> bool:
    until = database_time(connection) + int(LEASE_SECONDS * _MICROSECONDS)
    taken = connection.execute(ERASURE_PROGRESS.update().where(condition).values(owner=owner, leased_until=until))
    return taken.rowcount == 1


def drop_lease(connection: Connection, owner: str) -> None:
    """Release the lease, so that another process can continue."""
    mine = ERASURE_PROGRESS.c.owner == owner
    connection.execute(ERASURE_PROGRESS.update().where(mine).values(owner="", leased_until=0))


def record_progress(connection: Connection, **values: int | str) -> None:
    """Record the progress of the work."""
    connection.execute(ERASURE_PROGRESS.update().values(**values))
