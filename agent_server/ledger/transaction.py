"""One transaction of the ledger: what a group of writes reads and appends. The head row is locked for as long as it is open."""

import contextlib
import copy
import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.engine import LedgerError
from agent_server.database.prepared import PreparedInsert
from agent_server.ledger.chain import NOTHING, Kind, Signer, Unsigned, entry_hash, signed_head
from agent_server.ledger.protected_rows import ProtectedRows, is_protected, link_hash
from agent_server.ledger.schema import ATTEMPTS, ENTRIES, HEAD, MEMORY, PAYLOADS, ROW_CHANGES
from generated.vouch.v1.agent_service_pb2 import DECISION_MAKER_HUMAN
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts

T = TypeVar("T")


@dataclass(frozen=True)
class Revision:
    """A decision of a transaction that is in the ledger already."""

    sequence: int
    decision_id: str
    content_digest: bytes
    revision: int
    memory_number: int
    """The attempt that it was about; 0 for none."""
    by_person: bool = False
    """Whether a person made it."""


# Made once: to make a statement takes longer than to run it.
_HEAD = sa.select(HEAD).with_for_update()
_REMEMBERED = sa.select(MEMORY.c.since, MEMORY.c.number, MEMORY.c.key, MEMORY.c.folded_until)
_REVISIONS = (
    sa.select(
        PAYLOADS.c.transaction_id, PAYLOADS.c.sequence, PAYLOADS.c.content_digest, ENTRIES.c.entry_id, ENTRIES.c.facts,
        ENTRIES.c.kind,
    )
    .join(ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence)
    .where(PAYLOADS.c.transaction_id.in_(sa.bindparam("names", expanding=True)))
    .order_by(PAYLOADS.c.sequence)
)  # fmt: skip
_NEW_HEAD = HEAD.update().values(
    sequence=sa.bindparam("new_sequence"), hash=sa.bindparam("new_hash"), signature=sa.bindparam("new_signature"),
    rows_number=sa.bindparam("new_rows_number"), rows_hash=sa.bindparam("new_rows_hash"),
)  # fmt: skip
_INSERTS: Final = {
    table: PreparedInsert(table, [column.name for column in table.columns])
    for table in (ENTRIES, PAYLOADS, ATTEMPTS, ROW_CHANGES)
}
"""For tables of which every decision writes a row."""
_CLOCK = sa.text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
"""PostgreSQL's clock. Not the start of the transaction: that waits for the head of the chain."""
_EPOCH, _MICROSECOND = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.timedelta(microseconds=1)
_PLACES = (
    sa.select(ATTEMPTS.c.transaction_id, sa.func.max(ATTEMPTS.c.number).label("number"))
    .where(ATTEMPTS.c.transaction_id.in_(sa.bindparam("ids", expanding=True)))
    .group_by(ATTEMPTS.c.transaction_id)
)
_NEW_NUMBER = MEMORY.update().values(number=sa.bindparam("new_number"))


class ForeignHead(LedgerError):
    """The end of the chain was not written by somebody with this process's key; the message says what to do."""


def check_head(head: Any, signer: Signer) -> None:
    """Raise ForeignHead where the ledger's end does not fit the signer.

    Whoever appended to such a ledger would sign what somebody without the key did to it.
    """
    ends = (head.sequence, head.hash, head.rows_number, head.rows_hash)
    if (head.sequence or head.rows_number) and not signer.fits(head.signature, signed_head(*ends)):
        raise ForeignHead(
            "the end of the ledger is not signed by VOUCH_AGENT_LEDGER_KEY: verify it, then sign it by `vouch audit sign`"
            if not isinstance(signer, Unsigned)
            else "the ledger is signed: set VOUCH_AGENT_LEDGER_KEY, as only its key may append to it"
        )


def sign_head(connection: Connection, signer: Signer) -> None:
    """Sign the end of the chain as it stands, within the connection's transaction."""
    head = connection.execute(_HEAD).one()
    ends = (head.sequence, head.hash, head.rows_number, head.rows_hash)
    connection.execute(HEAD.update().values(signature=signer.sign(signed_head(*ends))))


def digest_of(key: bytes, text: str) -> int:
    """What history keeps instead of a text: 64 bits, which nobody without the key can tell from others."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "big", signed=True)


class LedgerTransaction:
    """Appends entries to the chain; rows wait until they are needed or the group closes, and go out together."""

    def __init__(self, connection: Connection, signer: Signer) -> None:
        self._connection, self._signer = connection, signer
        head = connection.execute(_HEAD).one()
        check_head(head, signer)
        self._begun_at: int = head.sequence
        self._rows, self._rows_number, self._rows_hash = ProtectedRows(), head.rows_number, head.rows_hash
        self._sequence: int = head.sequence
        self._end: bytes = head.hash
        self._waiting: dict[sa.Table, list[Mapping[str, Any]]] = {}
        self._revisions: dict[str, list[Revision]] = {}
        self._golden: dict[str, list[Revision]] = {}
        self._now: int | None = None
        self._memory: list[Any] = []
        self._places: dict[str, int | None] = {}
        self._attempted = False

    def append(
        self, kind: Kind, entry_id: str, at: int, facts: bytes, *, decision: int = 0, commitment: bytes = NOTHING
    ) -> int:
        """Append an entry; its sequence number is returned."""
        self._sequence += 1
        self._end = entry_hash(self._end, self._sequence, kind, entry_id, at, decision, facts, commitment)
        self.insert(
            ENTRIES,
            {
                "sequence": self._sequence, "kind": int(kind), "entry_id": entry_id, "at": at, "decision": decision,
                "facts": facts, "commitment": commitment, "hash": self._end,
            },
        )  # fmt: skip
        return self._sequence

    def insert(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        """Insert a row with the others of its table."""
        if is_protected(table):
            row = self._rows.insert(table, row)
        self._waiting.setdefault(table, []).append(row)

    def execute(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> sa.CursorResult[Any]:
        """Run a statement that sees everything appended so far."""
        self._flush()
        if isinstance(statement, sa.Update | sa.Delete | sa.Insert) and is_protected(statement.table):
            if isinstance(statement, sa.Insert):
                raise TypeError(f"insert rows of {statement.table.name} by Group.insert: they are committed to")
            statement = self._rows.change(self._connection, statement, parameters)
        return self._connection.execute(statement, parameters)

    def run(self, prepared: Callable[[Connection, Mapping[str, Any]], T], values: Mapping[str, Any]) -> T:
        """Run what was prepared, as `execute` runs a statement."""
        self._flush()
        return prepared(self._connection, values)

    def look_up(self, transaction_ids: Iterable[str]) -> None:
        """Read the revisions of many transactions at once, for `revisions`."""
        unknown = {name for name in transaction_ids if name not in self._revisions}
        if not unknown:
            return
        self._revisions |= {name: [] for name in unknown}
        self._golden |= {name: [] for name in unknown}
        rows = self._connection.execute(_REVISIONS, {"names": list(unknown)})
        for row in rows:
            facts = DecisionFacts.FromString(row.facts)
            known = Revision(
                row.sequence, row.entry_id, row.content_digest, facts.revision, facts.memory_number,
                facts.decision_maker == DECISION_MAKER_HUMAN,
            )  # fmt: skip
            self._of_kind(row.kind)[row.transaction_id].append(known)

    def revisions(self, transaction_id: str, kind: Kind = Kind.DECISION) -> list[Revision]:
        """The decisions of a transaction so far, oldest first; who appends one adds it here.

        Those on golden orders are apart: no decision on an order of the shop follows or repeats one.
        """
        self.look_up((transaction_id,))
        return self._of_kind(kind)[transaction_id]

    def _of_kind(self, kind: int) -> dict[str, list[Revision]]:
        return self._golden if kind == Kind.GOLDEN else self._revisions

    @property
    def now(self) -> int:
        """The time in microseconds since 1970, by one clock for all agents on a ledger.

        That is PostgreSQL's own; SQLite has that of the host, which all agents on the file share.
        """
        if self._now is None:
            if self._connection.dialect.name == "postgresql":
                self._now = int(self._connection.execute(_CLOCK).scalar_one())
            else:
                self._now = (dt.datetime.now(dt.UTC) - _EPOCH) // _MICROSECOND
        return self._now

    def place_of(self, transaction_id: str) -> int | None:
        """The number of the attempt that an order has in history; None where it has none. Read for all known orders at once."""
        if transaction_id not in self._places:
            names = {transaction_id, *self._revisions} - self._places.keys()
            self._places |= dict.fromkeys(names)
            by_digest = {digest_of(self.memory_key, name): name for name in names}
            for row in self.execute(_PLACES, {"ids": list(by_digest)}):
                self._places[by_digest[row.transaction_id]] = row.number
        return self._places[transaction_id]

    def set_place(self, transaction_id: str, number: int) -> None:
        """An order has another attempt in history from now on."""
        self._places[transaction_id] = number

    def forget_places(self) -> None:
        """Read the places of orders anew: attempts were folded or erased."""
        self._places.clear()

    @property
    def memory_since(self) -> int:
        """From when on memory knows all orders, in seconds since 1970."""
        return int(self._remembered()[0])

    @property
    def memory_key(self) -> bytes:
        """Key of the digests that memory keeps."""
        return bytes(self._remembered()[2])

    @property
    def folded_until(self) -> int:
        """Up to which moment attempts are folded, in seconds since 1970."""
        return int(self._remembered()[3])

    @property
    def attempts(self) -> int:
        """How many attempts memory has had so far: the number of the latest."""
        return int(self._remembered()[1])

    def next_attempt(self) -> int:
        """A number for another attempt."""
        self._remembered()[1] += 1
        self._attempted = True
        return int(self._memory[1])

    def fold_until(self, moment: int) -> None:
        """From now on attempts up to a moment are folded."""
        self._remembered()[3] = moment
        self._connection.execute(MEMORY.update().values(folded_until=moment))

    @contextlib.contextmanager
    def undone(self) -> Iterator["LedgerTransaction"]:
        """A group that goes on from here, and whose writes are undone at the end."""
        self._flush()
        trial = copy.copy(self)
        trial._waiting, trial._revisions, trial._memory, trial._rows = {}, {}, list(self._memory), ProtectedRows()
        savepoint = self._connection.begin_nested()
        try:
            yield trial
            trial.close()
        finally:
            savepoint.rollback()

    def _remembered(self) -> list[Any]:
        if not self._memory:
            row = self._connection.execute(_REMEMBERED).one()
            self._memory = [row.since, row.number, row.key, row.folded_until]
        return self._memory

    def close(self) -> None:
        """Write what waits, the number of the latest attempt, the commitments to rows, and the new end of the chain."""
        self._flush()
        content = self._rows.content(self._connection)
        if content:
            self._rows_number += 1
            self._rows_hash = link_hash(self._rows_hash, self._rows_number, content)
            self.insert(ROW_CHANGES, {"number": self._rows_number, "content": content, "hash": self._rows_hash})
            self._flush()
        if self._attempted:
            self._connection.execute(_NEW_NUMBER, {"new_number": self._memory[1]})
        if content or self._sequence != self._begun_at:
            ends = (self._sequence, self._end, self._rows_number, self._rows_hash)
            self._connection.execute(_NEW_HEAD, {
                "new_sequence": self._sequence, "new_hash": self._end, "new_rows_number": self._rows_number,
                "new_rows_hash": self._rows_hash, "new_signature": self._signer.sign(signed_head(*ends)),
            })  # fmt: skip

    def _flush(self) -> None:
        for table, rows in self._waiting.items():
            prepared = _INSERTS.get(table)
            if prepared is None:
                self._connection.execute(table.insert(), rows)
            else:
                prepared(self._connection, rows)
        self._waiting.clear()


Write = Callable[[LedgerTransaction], T]
"""What is done within a group, and what it gives. One that raises a VouchError must not have appended anything before."""
