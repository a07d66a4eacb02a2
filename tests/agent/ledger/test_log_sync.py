"""Commits are on disk before any answer shows them, and a disk that fails stops the ledger."""

import asyncio
import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_server.database.log import PostgresLog, SqliteLog
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger import Ledger, open_engine, reading
from agent_server.ledger.queries import latest_record
from runtime.errors import Unavailable
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger, new_ledger_on
from testing.servers.postgres import Postgres
from testing.waiting import wait_for


class SlowDisk:
    """Syncs of the log wait until the disk is released."""

    def __init__(self) -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self.released.set()

    def hold(self) -> None:
        """Let the next syncs wait."""
        self.begun.clear()
        self.released.clear()

    def slow_down(self, sync: Any) -> Any:
        """Return a sync that waits for the disk."""

        def waiting(log: Any) -> None:
            if not self.released.is_set():
                self.begun.set()
                self.released.wait(60)
            sync(log)

        return waiting


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    """Return the disk of ledgers on both databases."""
    slow = SlowDisk()
    for kind in (SqliteLog, PostgresLog):
        monkeypatch.setattr(kind, "sync", slow.slow_down(kind.sync))
    yield slow
    slow.released.set()


async def test_nothing_is_answered_before_it_is_on_disk(ledger_url: str, disk: SlowDisk) -> None:
    """A decision, a repetition of it and a read that sees it wait for the disk; the next group and attempts do not."""
    ledger = Ledger(open_engine(ledger_url))
    await ledger.write(lambda tx: None)
    disk.hold()
    first = asyncio.create_task(ledger.write(new_decision("1")))
    await asyncio.to_thread(disk.begun.wait, 60)
    attempt = await ledger.write(RecordAttempt(message(transaction_id="other", user_id="other")))
    assert isinstance(attempt, HistoryFeatures)  # although the decision before it is not on disk
    order = message(transaction_id="t1")
    others: list[asyncio.Task[Any]] = [
        asyncio.create_task(ledger.write(RecordAttempt(order))),
        asyncio.create_task(ledger.write(new_decision("1"))),
        asyncio.create_task(ledger.read(latest_record("t1"))),
    ]
    await ledger.write(RecordAttempt(message(transaction_id="another", user_id="other")))  # after the first two
    assert not any(task.done() for task in (first, *others))
    disk.released.set()
    recorded = (await first).answer
    attempted, again, read = await asyncio.gather(*others)
    assert attempted.replayed and attempted.answer == again.answer == recorded
    assert read is not None and read.answer == recorded
    ledger.close()


async def test_a_command_reads_what_is_on_disk(ledger_url: str, disk: SlowDisk) -> None:
    """A snapshot of another process first puts on disk what it sees, even if the writer cannot."""
    ledger = Ledger(open_engine(ledger_url))
    await ledger.write(lambda tx: None)
    disk.hold()
    pending = asyncio.create_task(ledger.write(new_decision("1")))
    await asyncio.to_thread(disk.begun.wait, 60)
    with reading(ledger_url) as connection:
        assert latest_record("t1")(connection) is not None
    disk.released.set()
    await pending
    ledger.close()


async def test_a_failed_sync_stops_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync nothing is answered or read, and the sync is not repeated; a restart finds valid entries."""
    url = new_ledger(tmp_path / "ledger.db")
    ledger, calls = Ledger(open_engine(url)), list[int]()
    await ledger.write(new_decision("before"))

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr("agent_server.database.log._sync_data", fail)
        with pytest.raises(Unavailable, match="decision was not recorded; retry"):
            await ledger.write(new_decision("lost"))
    with pytest.raises(Unavailable):
        await ledger.write(new_decision("after"))
    with pytest.raises(Unavailable):
        await ledger.read(latest_record("tlost"))
    assert not await ledger.available()
    assert len(calls) == 1
    ledger.close()
    restarted = Ledger(open_engine(url))
    assert (await restarted.write(new_decision("before"))).replayed
    assert not (await restarted.write(new_decision("after"))).replayed
    restarted.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_sync_after_a_crash_confirms_no_earlier_commit(postgres: Postgres, disk: SlowDisk) -> None:
    """A group is committed, then PostgreSQL crashes before the sync: it is not acknowledged, and the ledger recovers."""
    ledger = Ledger(open_engine(new_ledger_on(postgres)))
    await ledger.write(lambda tx: None)
    disk.hold()
    pending = asyncio.create_task(ledger.write(new_decision("1")))
    await asyncio.to_thread(disk.begun.wait, 60)
    await asyncio.to_thread(postgres.kill)
    await asyncio.to_thread(postgres.start)
    disk.released.set()
    with pytest.raises(Unavailable):
        await pending
    await asyncio.to_thread(wait_for, lambda: asyncio.run(ledger.available()), what="recovery")
    recorded = await ledger.write(new_decision("1"))  # whether or not the commit survived
    assert await ledger.read(latest_record("t1")) is not None
    assert recorded.answer.revision == 1
    ledger.close()
