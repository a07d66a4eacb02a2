"""Commits the writes of a group on new orders, and finds recorded answers, beside other agents on one PostgreSQL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy.engine import Connection

from agent_server.database.pipelining import pipelined
from agent_server.database.prepared import Pending
from agent_server.ledger.chain import Kind, Signer
from agent_server.ledger.transaction.concurrent import ConcurrentTransaction
from agent_server.ledger.transaction.history_counters import read_counters
from agent_server.ledger.transaction.transaction import LedgerTransaction, Write

NOT_RUN: Final = object()
"""The result of a write that has to run alone."""


ORDERS_AT_ONCE: Final = 128
"""Orders of one transaction. Each takes a lock, for which PostgreSQL has 64 places for each connection by default."""


class AttemptWrite(Protocol):
    """A write that records an attempt and reads its features."""

    transaction_id: str

    def find_recorded(self, tx: LedgerTransaction) -> Any | None:
        """Return the result if the same order was decided before."""

    def enter(self, tx: LedgerTransaction) -> bool:
        """Insert the attempt."""

    def send_query(self, tx: LedgerTransaction) -> Pending[Any]:
        """Send the query for the features; return a function that waits for the result."""


class DecisionWrite(Protocol):
    """A write that records a decision."""

    transaction_id: str
    attempt: int | None
    """The number of the order's attempt, 0 for none; None if it is not on an order of the shop."""

    def __call__(self, tx: LedgerTransaction) -> Any:
        """Record it."""


class ConcurrentCommit:
    """Runs attempts in one transaction, then decisions in another, both not yet on disk."""

    def __init__(self, connection: Connection, signer: Signer) -> None:
        """`connection` is in autocommit mode, and used by nothing else."""
        self._connection, self._signer = connection, signer
        self._key = read_counters(connection).key

    def run(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Run the writes that may run beside others; return the result of each, NOT_RUN for the rest."""
        results = [NOT_RUN] * len(writes)
        attempts, decisions = dict[str, int](), dict[str, int]()  # of several writes on one order the first
        for index, write in enumerate(writes):
            name = getattr(write, "transaction_id", "")
            if hasattr(write, "send_query"):
                attempts.setdefault(name, index)
            elif getattr(write, "attempt", None) is not None:
                decisions.setdefault(name, index)
        steps: Sequence[tuple[dict[str, int], Callable[[Any], dict[str, Any]]]] = (
            (attempts, self._run_attempts), (decisions, self._run_decisions)
        )  # fmt: skip
        for chosen, run in steps:
            for part in _parts(chosen):
                for name, result in run({name: writes[index] for name, index in part.items()}).items():
                    results[part[name]] = result
        return results

    def _run_attempts(self, writes: Mapping[str, AttemptWrite]) -> dict[str, Any]:
        with pipelined(self._connection):
            tx = self._begin(writes, attempts=True)
            found = {name: write.find_recorded(tx) for name, write in writes.items()}
            new = {
                name: write for name, write in writes.items()
                if tx.knows_key and not tx.revisions(name) and tx.attempt_of(name) is None
            }  # fmt: skip
            for write in new.values():
                write.enter(tx)
            pending = {name: write.send_query(tx) for name, write in new.items()}
            tx.close()
            recorded = {name: result for name, result in found.items() if result is not None}
            return recorded | {name: read() for name, read in pending.items()}

    def _run_decisions(self, writes: Mapping[str, DecisionWrite]) -> dict[str, Any]:
        with pipelined(self._connection):
            tx = self._begin(writes, attempts=False)
            new = {
                name: write for name, write in writes.items()
                if not tx.revisions(name) and not tx.revisions(name, Kind.GOLDEN)
                and (not write.attempt or (tx.knows_key and tx.attempt_of(name) == write.attempt))
            }  # fmt: skip
            results = {name: write(tx) for name, write in new.items()}
            tx.close()
            return results

    def _begin(self, writes: Mapping[str, Any], *, attempts: bool) -> ConcurrentTransaction:
        tx = ConcurrentTransaction(self._connection, self._signer, writes, self._key, attempts=attempts)
        if not tx.knows_key:
            self._key = tx.history.key
        return tx


def _parts(chosen: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield parts of at most ORDERS_AT_ONCE orders."""
    items = list(chosen.items())
    for start in range(0, len(items), ORDERS_AT_ONCE):
        yield dict(items[start : start + ORDERS_AT_ONCE])
