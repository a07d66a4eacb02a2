"""Rewrites a table into new files while others read and write it. The old files, with every erased byte, are deleted.

Neither database overwrites all copies of a deleted row. PostgreSQL leaves it in the page, and VACUUM only marks the
space as free. SQLite overwrites the row (secure_delete), but not the copies that splits of index pages left behind. So
the live rows are copied to a new table, slice by slice, while triggers apply all changes to it too. Then it takes the
old table's name. Each slice locks out writers for some milliseconds, and the pauses between slices are longer.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.engine import committing, snapshot
from agent_server.privacy.progress import lock_writes

SLICE_SECONDS: Final = 0.01
"""Target for how long a slice locks out writers. The number of its rows is adapted to it."""
MIN_ROWS, MAX_ROWS = 10, 1000

RENEWAL_SECONDS: Final = 5.0
"""Interval of lease renewals during a copy. A process without the lease copies nothing wrong, and cannot swap."""

_OTHER_VERSION: Final = (
    "the tables are those of another version of the program; an agent of that version continues the work"
)


class WorkBlocked(Exception):
    """The work is blocked. The message says what it waits for, and what can be done."""


class WorkIncomplete(WorkBlocked):
    """A part of the work is done, and the next one can follow soon."""


class LeaseLost(Exception):
    """Another process does the work now."""


class Dialect(Protocol):
    """The differences between databases."""

    def begin_copy(self, connection: Connection, table: sa.Table) -> None:
        """Create the empty new table, and triggers that apply changes of the old one to it."""

    def insert_slice(self, target: sa.Table, rows: sa.Select[Any]) -> sa.Executable:
        """Return the statement that copies rows, except those that a trigger copied before."""

    def analyse(self, connection: Connection, table: sa.Table) -> None:
        """Compute statistics of the new table. Outside of a transaction."""

    def swap(self, connection: Connection, table: sa.Table) -> None:
        """Give the new table the name of the old one. Raises WorkBlocked; then the copy stays up to date."""

    def leftovers(self, connection: Connection, table: sa.Table) -> list[sa.Table]:
        """Return the tables that an interrupted or completed copy left, after dropping triggers on them."""


@cache
def copy_of(table: sa.Table, prefix: str) -> sa.Table:
    """Return the description of a table with the same columns and another name.

    It is always the same object, so that statements on it are compiled once.
    """
    return table.to_metadata(sa.MetaData(), name=f"{prefix}_{table.name}")


def new_table(table: sa.Table) -> sa.Table:
    """Return the description of the table that rows are copied to."""
    return copy_of(table, "rewrite")


def old_table(table: sa.Table) -> sa.Table:
    """Return the description of the table whose rows were copied."""
    return copy_of(table, "rewritten")


def trigger_actions(table: sa.Table, insert: str) -> tuple[str, str]:
    """Return what a trigger runs on the new table, to insert the new row and to delete the old one."""
    target, names = new_table(table).name, [f'"{column.name}"' for column in table.columns]
    same = " AND ".join(f'"{column.name}" = OLD."{column.name}"' for column in table.primary_key.columns)
    values = ", ".join(f"NEW.{name}" for name in names)
    inserted = f'{insert} INTO "{target}" ({", ".join(names)}) VALUES ({values});'
    return inserted, f'DELETE FROM "{target}" WHERE {same};'  # noqa: S608 - our own names


class TableRewriter:
    """Rewrites tables on one connection. `renew` is called regularly and before a swap; it raises LeaseLost."""

    def __init__(
        self, connection: Connection, dialect: Dialect, renew: Callable[[Connection], None], rows: int | None = None
    ) -> None:
        """`rows` is the size of a slice, by default as many as take SLICE_SECONDS."""
        self._connection, self._dialect, self._renew = connection, dialect, renew
        self._rows, self._adapts = rows or MIN_ROWS, rows is None
        self._renewed = -math.inf

    def copy(self, table: sa.Table) -> None:
        """Copy all rows to a new table. From then on it stays up to date until `swap`."""
        self.dispose(table)
        with self._slice() as connection:
            _check_columns(connection, table)
            self._dialect.begin_copy(connection, table)
        self._begin_phase()
        last: tuple[Any, ...] | None = None
        more = True
        while more:
            end = self._end_of_slice(table, last)  # before the lock: it need not be exact
            copied = self._dialect.insert_slice(new_table(table), _between(table, last, end))
            with self._slice() as connection:
                connection.execute(copied)
            last, more = end, end is not None
        self._dialect.analyse(self._connection, new_table(table))

    def swap(self, table: sa.Table) -> None:
        """Replace the old table by the new one, and delete its files. Raises WorkBlocked."""
        with committing(self._connection, on_disk=True):
            lock_writes(self._connection)
            self._renew(self._connection)
            _check_columns(self._connection, table)
            self._dialect.swap(self._connection, table)
        self.dispose(table)

    def dispose(self, table: sa.Table) -> None:
        """Delete leftovers of copies, slice by slice: SQLite overwrites each page as it becomes free."""
        with self._slice() as connection:
            left = self._dialect.leftovers(connection, table)
        for old in left:
            key = list(old.primary_key.columns)
            emptied = False
            self._begin_phase()
            while not emptied:
                with self._slice() as connection:
                    chosen = sa.select(*key).order_by(*key).limit(self._rows)
                    deleted = connection.execute(old.delete().where(sa.tuple_(*key).in_(chosen))).rowcount
                    emptied = deleted < self._rows
                    if emptied:
                        connection.execute(sa.text(f'DROP TABLE "{old.name}"'))

    def _end_of_slice(self, table: sa.Table, last: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """Return the key of the last row of the slice after a key; None if the slice is the last one."""
        key = list(table.primary_key.columns)
        chosen = _between(table, last, None).with_only_columns(*key).order_by(*key)
        with snapshot(self._connection.engine) as reading:
            row = reading.execute(chosen.offset(self._rows - 1).limit(1)).first()
        return None if row is None else tuple(row)

    def _begin_phase(self) -> None:
        """Begin with few rows: the time per row is not known yet."""
        if self._adapts:
            self._rows = MIN_ROWS

    @contextmanager
    def _slice(self) -> Iterator[Connection]:
        """Run a short transaction that locks out writers, then pause for them."""
        started = time.perf_counter()
        with committing(self._connection, on_disk=False):
            lock_writes(self._connection)
            if started - self._renewed > RENEWAL_SECONDS:
                self._renew(self._connection)
                self._renewed = started
            yield self._connection
        took = time.perf_counter() - started
        factor = 2.0 if took < SLICE_SECONDS / 2 else 0.5 if took > SLICE_SECONDS * 2 else 1.0
        if self._adapts:
            self._rows = int(min(MAX_ROWS, max(MIN_ROWS, self._rows * factor)))
        time.sleep(min(took * 1.5, 1.0))


def _check_columns(connection: Connection, table: sa.Table) -> None:
    """Raise WorkBlocked if a table has other columns than this program knows: a copy would lose them."""
    found = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    if found != {column.name for column in table.columns}:
        raise WorkBlocked(_OTHER_VERSION)


def _between(table: sa.Table, last: tuple[Any, ...] | None, end: tuple[Any, ...] | None) -> sa.Select[Any]:
    """Select the rows after one key, up to another one."""
    key = list(table.primary_key.columns)
    place: Any = key[0] if len(key) == 1 else sa.tuple_(*key)

    def value(of: tuple[Any, ...]) -> Any:
        return of[0] if len(key) == 1 else sa.tuple_(*map(sa.literal, of))

    rows = sa.select(*table.columns)
    rows = rows if last is None else rows.where(place > value(last))
    return rows if end is None else rows.where(place <= value(end))
