"""The counters of history, as one transaction of the ledger advances them, and the digests that history stores."""

import hashlib
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.prepared import Pending, Prepared, PreparedWrite
from agent_server.ledger.schema import MEMORY

_SELECT: Final = sa.select(MEMORY.c.since, MEMORY.c.number, MEMORY.c.key, MEMORY.c.folded_until)
_READ, _LOCK = Prepared(_SELECT), Prepared(_SELECT.with_for_update())
_WRITE_NUMBER: Final = PreparedWrite(MEMORY.update().values(number=sa.bindparam("new_number")))


def digest_of(key: bytes, text: str) -> int:
    """Return what history stores instead of a text: a keyed digest of 64 bits, meaningless without the key."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "big", signed=True)


@dataclass
class HistoryCounters:
    """The row of the table `memory`. Times are in seconds since 1970."""

    since: int
    """The moment from which on history is complete."""
    attempts: int
    """The number of the latest attempt."""
    key: bytes
    """The key of the digests."""
    compacted_until: int
    """The moment up to which attempts are compacted."""
    has_new_attempts: bool = False

    def next_attempt(self) -> int:
        """Return the number of a new attempt."""
        self.attempts, self.has_new_attempts = self.attempts + 1, True
        return self.attempts

    def write(self, connection: Connection) -> None:
        """Write the number of the latest attempt, if there are new ones."""
        if self.has_new_attempts:
            _WRITE_NUMBER(connection, [{"new_number": self.attempts}])


def read_counters(connection: Connection) -> HistoryCounters:
    """Return the counters as the database has them."""
    return send_counters(connection)()


def send_counters(connection: Connection, *, lock: bool = False) -> Pending[HistoryCounters]:
    """Read the counters, or lock them until the transaction ends; return a function that waits for them."""
    pending = (_LOCK if lock else _READ).send(connection)

    def read() -> HistoryCounters:
        row = pending()
        return HistoryCounters(row["since"], row["number"], row["key"], row["folded_until"])

    return read
