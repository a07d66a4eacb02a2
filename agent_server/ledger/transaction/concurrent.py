"""Transactions that several agents run on one PostgreSQL at the same time. They concern new orders only.

A LedgerTransaction locks the whole ledger while it reads, decides and writes. Most of that time the database waits for
the agent. A ConcurrentTransaction locks its orders instead, and shares the ledger with other such transactions:

    writers of the ledger   shared; LedgerTransaction and everything else that writes take it alone
    its orders              by id, so that no two agents decide one order
    counters of history     only to insert attempts and read their features, in the order of their numbers
    head of the chain       only to number, hash and insert entries that were made before

So both chains and the numbers of attempts keep their one order. A decision holds no lock on history. Its place there
is its sequence number: the query for features reads the end of the chain in the same snapshot, and a decision and the
new end become visible at once.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.prepared import run_on_driver
from agent_server.ledger.chain import GENESIS, NOTHING, Signer
from agent_server.ledger.schema import ENTRIES
from agent_server.ledger.transaction.head import Head, check_head, lock_head, share_ledger
from agent_server.ledger.transaction.history_counters import digest_of, send_counters
from agent_server.ledger.transaction.transaction import LATEST_ATTEMPTS, LedgerTransaction


class NotAlone(TypeError):
    """A concurrent transaction was used for more than new orders. This is an error of the program."""


class ConcurrentTransaction(LedgerTransaction):
    """Attempts or decisions on new orders. The connection is pipelined, and in autocommit mode."""

    def __init__(
        self, connection: Connection, signer: Signer, transaction_ids: Iterable[str], key: bytes, *, attempts: bool
    ) -> None:
        """Lock the orders and read what the ledger has on them.

        `key` is the key of history as it was read before. With `attempts`, history is locked too.
        """
        self._key = key
        super().__init__(connection, signer)
        names = sorted(transaction_ids)
        digests = {digest_of(key, name): name for name in names}
        _run(connection, "BEGIN ISOLATION LEVEL READ COMMITTED")
        share_ledger(connection, sorted(digests))
        revisions = self._revisions.send(names)
        latest = LATEST_ATTEMPTS.send(connection, list(digests))
        counters = send_counters(connection, lock=attempts)
        revisions()
        self._attempts = dict.fromkeys(names) | {digests[digest]: number for digest, number in latest()}
        self.history = counters()

    @property
    def knows_key(self) -> bool:
        """Whether the key of history is still the one that was read before; otherwise nothing is known of attempts."""
        return self.history.key == self._key

    @property
    def attempts_when_recorded(self) -> int:
        """See LedgerTransaction. Decisions take their place in history by their sequence number."""
        return 0

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Raise NotAlone: others write at the same time, and the statement might concern them."""
        raise NotAlone(f"a concurrent transaction runs no {type(statement).__name__.lower()}")

    def close(self) -> None:
        """Lock the head of the chain if there are entries, number them, write everything, and commit."""
        if self._sequence:
            self._renumber(lock_head(self._connection))
        super().close()
        _run(self._connection, "COMMIT")

    def _lock_head(self) -> Head:
        return Head(0, GENESIS, 0, GENESIS)  # until the end

    def _link(self, row: Mapping[str, Any]) -> bytes:
        return NOTHING  # until the end

    def _renumber(self, head: Head) -> None:
        """Let the entries follow the head of the chain. So far they are numbered from 1."""
        check_head(head, self._signer)
        for table, rows in self._buffered.items():
            for column in table.info.get("sequences", ()):
                for row in rows:
                    row[column] += head.sequence
        self._hash, self._rows_number, self._rows_hash = head.hash, head.rows_number, head.rows_hash
        for row in self._buffered[ENTRIES]:
            row["hash"] = super()._link({name: value for name, value in row.items() if name != "hash"})
        self._first_sequence = head.sequence
        self._sequence += head.sequence


def _run(connection: Connection, text: str) -> None:
    run_on_driver(connection, text, lambda driver: driver.execute(text))
