"""The unit of work of the ledger. It locks the head of the chain from its beginning to its end."""

import contextlib
import copy
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.prepared import Pending, Prepared, PreparedLookup, PreparedWrite
from agent_server.ledger.chain import NOTHING, Kind, Signer, entry_hash
from agent_server.ledger.protected_rows import ProtectedRows, is_protected, link_hash
from agent_server.ledger.schema import ATTEMPTS, ENTRIES, ROW_CHANGES
from agent_server.ledger.transaction.head import Head, check_head, lock_head, lock_ledger, write_head
from agent_server.ledger.transaction.history_counters import HistoryCounters, digest_of, read_counters
from agent_server.ledger.transaction.revisions import Revision, Revisions

T = TypeVar("T")

_CLOCK = sa.text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
"""PostgreSQL's clock, not the start of the transaction, which is before the wait for the head of the chain."""
_EPOCH, _MICROSECOND = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.timedelta(microseconds=1)
LATEST_ATTEMPTS: Final = PreparedLookup(
    lambda ids: (
        sa.select(ATTEMPTS.c.transaction_id, sa.func.max(ATTEMPTS.c.number))
        .where(ATTEMPTS.c.transaction_id.in_(ids))
        .group_by(ATTEMPTS.c.transaction_id)
    )
)
_WRITE_COUNTS: Final = PreparedWrite(
    ATTEMPTS.update().where(ATTEMPTS.c.number == sa.bindparam("attempt")).values(counts=sa.bindparam("new_counts"))
)


class LedgerTransaction:
    """Appends entries to the chain. Changes are buffered until a statement needs them or the transaction closes."""

    def __init__(self, connection: Connection, signer: Signer) -> None:
        self._connection, self._signer = connection, signer
        head = self._lock_head()
        self._first_sequence: int = head.sequence
        self._rows, self._rows_number, self._rows_hash = ProtectedRows(), head.rows_number, head.rows_hash
        self._sequence: int = head.sequence
        self._hash: bytes = head.hash
        self._buffered: dict[sa.Table, list[dict[str, Any]]] = {}
        self._counts: dict[int, bool] = {}
        self._revisions = Revisions(connection)
        self._attempts: dict[str, int | None] = {}
        self._now: int | None = None

    def _lock_head(self) -> Head:
        """Lock the ledger; return its head."""
        lock_ledger(self._connection)
        head = lock_head(self._connection)
        check_head(head, self._signer)
        return head

    @property
    def attempts_when_recorded(self) -> int:
        """The number of attempts in history, which is the place of a decision there."""
        return self.history.attempts

    def append(
        self, kind: Kind, entry_id: str, at: int, facts: bytes, *, decision: int = 0, commitment: bytes = NOTHING
    ) -> int:
        """Append an entry; return its sequence number."""
        self._sequence += 1
        row = {
            "sequence": self._sequence, "kind": int(kind), "entry_id": entry_id, "at": at, "decision": decision,
            "facts": facts, "commitment": commitment,
        }  # fmt: skip
        self.insert(ENTRIES, row | {"hash": self._link(row)})
        return self._sequence

    def _link(self, row: Mapping[str, Any]) -> bytes:
        """Make an entry the end of the chain; return its hash."""
        self._hash = entry_hash(self._hash, **row)
        return self._hash

    def insert(self, table: sa.Table, row: dict[str, Any]) -> None:
        """Buffer a row, to be inserted together with others of its table."""
        if is_protected(table):
            row = self._rows.insert(table, row)
        self._buffered.setdefault(table, []).append(row)

    def execute(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> sa.CursorResult[Any]:
        """Run a statement that sees everything appended so far."""
        self._flush()
        if isinstance(statement, sa.Update | sa.Delete | sa.Insert) and is_protected(statement.table):
            if isinstance(statement, sa.Insert):
                raise TypeError(
                    f"insert rows of {statement.table.name} by LedgerTransaction.insert, which commits to them"
                )
            statement = self._rows.change(self._connection, statement, parameters)
        return self._connection.execute(statement, parameters)

    def send_prepared(self, prepared: Prepared, values: Mapping[str, Any]) -> Pending[Mapping[str, Any]]:
        """Run a prepared query, which sees everything appended so far; return a function that waits for the row."""
        self._flush()
        return prepared.send(self._connection, values)

    def prefetch_revisions(self, transaction_ids: Iterable[str]) -> None:
        """Read the revisions of many orders in one query, for `revisions`."""
        self._revisions.prefetch(transaction_ids)

    def revisions(self, transaction_id: str, kind: Kind = Kind.DECISION) -> list[Revision]:
        """Return the decisions on an order so far, oldest first. Callers that append one add it to the list.

        Decisions on golden orders are separate: no decision on an order of the shop follows or repeats one.
        """
        return self._revisions.of(transaction_id, kind)

    @property
    def now(self) -> int:
        """The time in microseconds since 1970, by one clock for all agents on a ledger.

        That is PostgreSQL's clock, or for SQLite that of the host, which all agents on the file share.
        """
        if self._now is None:
            if self._connection.dialect.name == "postgresql":
                self._now = int(self._connection.execute(_CLOCK).scalar_one())
            else:
                self._now = (dt.datetime.now(dt.UTC) - _EPOCH) // _MICROSECOND
        return self._now

    @cached_property
    def history(self) -> HistoryCounters:
        """The counters of history, read when they are first needed."""
        return read_counters(self._connection)

    def attempt_of(self, transaction_id: str) -> int | None:
        """Return the number of an order's attempt in history; None for none. Read for all known orders at once."""
        if transaction_id not in self._attempts:
            names = {transaction_id, *self._revisions.transaction_ids} - self._attempts.keys()
            self._attempts |= dict.fromkeys(names)
            by_digest = {digest_of(self.history.key, name): name for name in names}
            self._flush()
            for digest, number in LATEST_ATTEMPTS(self._connection, list(by_digest)):
                self._attempts[by_digest[digest]] = number
        return self._attempts[transaction_id]

    def set_attempt(self, transaction_id: str, number: int) -> None:
        """Set the attempt that an order has in history."""
        self._attempts[transaction_id] = number

    def set_counts(self, number: int, *, counts: bool) -> None:
        """Buffer whether an attempt counts as an order, to be written together with others."""
        self._counts[number] = counts

    def reset_attempts(self) -> None:
        """Forget the attempts that were read, after some were compacted or erased."""
        self._attempts.clear()

    @contextlib.contextmanager
    def rolled_back(self) -> Iterator["LedgerTransaction"]:
        """Yield a transaction that continues from here, and roll its writes back at the end."""
        self._flush()
        trial = copy.copy(self)
        trial._buffered, trial._revisions, trial._rows = {}, Revisions(self._connection), ProtectedRows()
        trial._attempts, trial._counts = {}, {}
        if "history" in vars(self):
            trial.history = replace(self.history)
        savepoint = self._connection.begin_nested()
        try:
            yield trial
            trial.close()
        finally:
            savepoint.rollback()

    def close(self) -> None:
        """Write buffered rows, the number of attempts, the commitments to rows, and the new head of the chain."""
        self._flush()
        content = self._rows.content(self._connection)
        if content:
            self._rows_number += 1
            self._rows_hash = link_hash(self._rows_hash, self._rows_number, content)
            self.insert(ROW_CHANGES, {"number": self._rows_number, "content": content, "hash": self._rows_hash})
            self._flush()
        if "history" in vars(self):
            self.history.write(self._connection)
        if content or self._sequence != self._first_sequence:
            head = Head(self._sequence, self._hash, self._rows_number, self._rows_hash)
            write_head(self._connection, head.signed_by(self._signer))

    def _flush(self) -> None:
        for table, rows in self._buffered.items():
            by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for row in rows:
                by_columns.setdefault(tuple(row), []).append(row)
            for columns, alike in by_columns.items():
                _insert_into(table, columns)(self._connection, alike)
        self._buffered.clear()
        if self._counts:
            changes = [{"attempt": number, "new_counts": counts} for number, counts in self._counts.items()]
            _WRITE_COUNTS(self._connection, changes)
            self._counts.clear()


@cache
def _insert_into(table: sa.Table, columns: Sequence[str]) -> PreparedWrite:
    return PreparedWrite(table.insert().inline(), columns)


Write = Callable[[LedgerTransaction], T]
"""A write: it runs in a transaction and returns its result. It must not raise a VouchError once it has appended."""
