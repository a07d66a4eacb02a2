"""Decisions and cases, kept before they are answered.

Writes go through one thread that commits whatever has gathered meanwhile as one transaction, so that a disk that syncs in
milliseconds still carries thousands of decisions a second. SQLite by default, PostgreSQL by URL.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.errors import Unavailable
from runtime.logging import get_logger

METADATA = sa.MetaData()

DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("decision_id", sa.String(32), nullable=False, unique=True),
    sa.Column("transaction_id", sa.String(128), nullable=False, index=True),
    sa.Column("decided_at", sa.String(32), nullable=False),
    sa.Column("decision", sa.Integer, nullable=False),
    sa.Column("review", sa.LargeBinary, nullable=False),
)
"""One row a decision, never changed; `review` is the ReviewResponse as it was answered."""

ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("decision_id", sa.String(32), primary_key=True),
    sa.Column("transaction", sa.LargeBinary, nullable=False),
)
"""The order behind a decision: the personal part, kept apart so that it can be erased alone."""

CASES = sa.Table(
    "cases",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("case_id", sa.String(32), nullable=False, unique=True),
    sa.Column("decision_id", sa.String(32), nullable=False),
    sa.Column("status", sa.Integer, nullable=False, index=True),
    sa.Column("case", sa.LargeBinary, nullable=False),
)
"""What waits for a person; `case` is the Case message."""

Work = Callable[[Connection], Any]
_LARGEST_GROUP = 512
_log = get_logger()


class LedgerError(Exception):
    """The ledger cannot be opened; the message says where it was looked for."""


def open_engine(url: str) -> Engine:
    """An engine with the tables in place; raise LedgerError when the database does not let us."""
    try:
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _durable)
        METADATA.create_all(engine)
    except (sa.exc.SQLAlchemyError, ImportError, ValueError) as error:
        cause = str(error).splitlines()[0]
        # Without the URL itself, which may hold a password.
        raise LedgerError(f"the ledger that VOUCH_AGENT_LEDGER_URL names cannot be opened: {cause}") from error
    return engine


def _durable(connection: Any, record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


class Ledger:
    """The one writer and the readers of a ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._work: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._writer.start()

    async def write(self, work: Work) -> Any:
        """Run `work` inside a committed transaction; raise Unavailable when it could not be kept."""
        done: Future[Any] = Future()
        self._work.put((work, done))
        return await asyncio.wrap_future(done)

    async def read(self, work: Work) -> Any:
        """Run `work` on a connection of its own; raise Unavailable when the database does not answer."""

        def run() -> Any:
            try:
                with self._engine.connect() as connection:
                    return work(connection)
            except sa.exc.SQLAlchemyError as error:
                raise _away() from error

        return await asyncio.to_thread(run)

    def close(self) -> None:
        """Finish what was handed in, then close the database."""
        self._work.put(None)
        self._writer.join()
        self._engine.dispose()

    def _write(self) -> None:
        while True:
            first = self._work.get()
            if first is None:
                return
            group, ended = [first], False
            while len(group) < _LARGEST_GROUP and not self._work.empty():
                item = self._work.get()
                if item is None:
                    ended = True
                    break
                group.append(item)
            self._commit(group)
            if ended:
                return

    def _commit(self, group: Sequence[tuple[Work, Future[Any]]]) -> None:
        results: list[Any] = []
        try:
            with self._engine.begin() as connection:
                for work, _ in group:
                    try:
                        with connection.begin_nested():
                            results.append(work(connection))
                    except sa.exc.OperationalError:
                        raise
                    except Exception as error:  # one bad write must not undo its neighbours
                        results.append(error)
        except Exception as error:
            _log.error("ledger write failed", cause=type(error).__name__, decisions=len(group))
            results = [_away()] * len(group)
        for (_, done), result in zip(group, results, strict=True):
            if done.set_running_or_notify_cancel():
                done.set_exception(result) if isinstance(result, Exception) else done.set_result(result)


def _away() -> Unavailable:
    return Unavailable(
        "the decision could not be kept, so it is not given: try again",
        reason=ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE,
    )
