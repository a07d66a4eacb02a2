"""A ledger that cannot be written: every acknowledged write is recorded, and no other."""

import asyncio
import contextlib
import gc
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.audit.verify import verify_ledger
from agent_server.ledger import Ledger, open_engine, writer
from runtime.errors import Unavailable
from runtime.telemetry import logging
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger, new_ledger_on
from testing.servers.postgres import Postgres
from testing.waiting import wait_for


def _recorded_ids(folder: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return [row[0] for row in connection.execute("SELECT transaction_id FROM payloads ORDER BY sequence")]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def _write_concurrently(ledger: Ledger, numbers: Iterable[int]) -> list[str]:
    """Write decisions concurrently; return the ids of the acknowledged orders."""
    results = await asyncio.gather(*(ledger.write(new_decision(number)) for number in numbers), return_exceptions=True)
    return [f"t{number}" for number, result in zip(numbers, results, strict=True) if not isinstance(result, Exception)]


async def test_acknowledged_writes_are_recorded_on_a_full_disk(tmp_path: Path) -> None:
    """Groups that no longer fit on the disk fail and are not recorded; with free space, writes succeed again."""
    engine = open_engine(new_ledger(tmp_path / "ledger.db"))
    pages = [90]

    def limit(connection: Any, *_: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages[0]}")

    sa.event.listen(engine, "checkout", limit)
    ledger, answered = Ledger(engine), list[str]()
    for first in range(0, 600, 20):  # groups of different sizes, some cut off in the middle
        answered += await _write_concurrently(ledger, range(first, first + 20))
    assert 0 < len(answered) < 600
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as file:
        pages[0] = file.execute("PRAGMA page_count").fetchone()[0]  # the rest may be too little for a group only
    assert not await ledger.available()
    assert _recorded_ids(tmp_path) == answered
    pages[0] = 100_000
    assert await ledger.available()
    answered += await _write_concurrently(ledger, range(600, 620))
    with engine.connect() as connection:
        assert verify_ledger(connection, None).entries == len(answered)
    ledger.close()
    assert _recorded_ids(tmp_path) == answered
    assert "t619" in answered


async def test_a_group_is_one_transaction(tmp_path: Path) -> None:
    """Two hundred concurrent reviews are a few commits, not one each."""
    engine = open_engine(new_ledger(tmp_path / "ledger.db"))
    commits = list[str]()
    sa.event.listen(engine, "commit", lambda connection: commits.append("commit"))
    ledger = Ledger(engine)
    answered = await _write_concurrently(ledger, range(200))
    ledger.close()
    assert len(answered) == len(_recorded_ids(tmp_path)) == 200
    assert len(commits) < 50


@pytest.mark.parametrize("names", [("ledger.db",), ("ledger.db", "ledger.db-wal", "ledger.db-shm"), ("ledger.db-wal",)])
async def test_a_deleted_ledger_acknowledges_nothing(tmp_path: Path, names: tuple[str, ...]) -> None:
    """After its file is deleted, no decision is acknowledged and health reports it; with it back, writes succeed."""
    ledger = Ledger(open_engine(new_ledger(tmp_path / "ledger.db")))
    assert await _write_concurrently(ledger, range(3)) == ["t0", "t1", "t2"]
    for name in names:
        (tmp_path / name).rename(tmp_path / f"moved-{name}")
    assert await _write_concurrently(ledger, range(3, 6)) == []
    assert not await ledger.available()
    for name in names:
        (tmp_path / f"moved-{name}").rename(tmp_path / name)
    assert await ledger.available()
    assert await _write_concurrently(ledger, [6]) == ["t6"]
    ledger.close()
    assert _recorded_ids(tmp_path) == ["t0", "t1", "t2", "t6"]


async def test_a_replaced_ledger_acknowledges_nothing(tmp_path: Path) -> None:
    """With another file under the ledger's name, nothing is acknowledged."""
    ledger = Ledger(open_engine(new_ledger(tmp_path / "ledger.db")))
    await _write_concurrently(ledger, [1])
    (tmp_path / "copy.db").write_bytes((tmp_path / "ledger.db").read_bytes())
    (tmp_path / "copy.db").replace(tmp_path / "ledger.db")
    assert await _write_concurrently(ledger, [2]) == []
    assert not await ledger.available()
    ledger.close()


async def test_reading_creates_no_ledger(tmp_path: Path) -> None:
    """While the file is missing, reads fail and create nothing; with the file back, they succeed."""
    ledger = Ledger(open_engine(new_ledger(tmp_path / "ledger.db")))
    assert await _write_concurrently(ledger, range(3)) == ["t0", "t1", "t2"]
    (tmp_path / "ledger.db").rename(tmp_path / "elsewhere.db")
    before = _names(tmp_path)
    ledger._engine.dispose()  # readers must open the file again
    with pytest.raises(Unavailable):
        await ledger.read(lambda connection: connection.execute(sa.text("SELECT 1")).scalar())
    assert _names(tmp_path) == before
    (tmp_path / "elsewhere.db").rename(tmp_path / "ledger.db")
    assert await ledger.available(0)
    assert await _write_concurrently(ledger, range(3, 6)) == ["t3", "t4", "t5"]
    ledger.close()
    assert _recorded_ids(tmp_path) == [f"t{number}" for number in range(6)]


async def test_a_write_to_a_locked_ledger_times_out(tmp_path: Path) -> None:
    """If the lock is held for longer than the write timeout, the write fails; once it is free, writes succeed."""
    ledger = Ledger(open_engine(new_ledger(tmp_path / "ledger.db")))
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await ledger.write(new_decision(1))
        other.execute("ROLLBACK")
    assert await _write_concurrently(ledger, [2]) == ["t2"]
    ledger.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_killed_postgres_loses_nothing_that_was_answered(postgres: Postgres) -> None:
    """After PostgreSQL is killed between and during groups, it recovers with every acknowledged write."""
    url = new_ledger_on(postgres)
    ledger, answered = Ledger(open_engine(url)), list[str]()
    for turn in range(2):
        answered += await _write_concurrently(ledger, range(100 * turn, 100 * turn + 20))
        pending = asyncio.create_task(_write_concurrently(ledger, range(100 * turn + 20, 100 * turn + 60)))
        await asyncio.sleep(0)
        postgres.kill()
        answered += await pending
        assert await _write_concurrently(ledger, [100 * turn + 90]) == []
        postgres.start()
        await asyncio.to_thread(wait_for, lambda: asyncio.run(ledger.available()), what="recovery")
    with ledger._engine.connect() as connection:
        recorded = {row[0] for row in connection.execute(sa.text("SELECT transaction_id FROM payloads"))}
        assert not verify_ledger(connection, None).broken
    ledger.close()
    assert recorded >= set(answered)
    assert len(answered) >= 40
    gc.collect()  # connections that died while they were opened are reported here, not in the next test


async def test_failures_are_logged_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many writes fail, the log names the error and the service once, and the recovery once."""
    logging.configure("test")
    monkeypatch.setattr(writer, "_log", logging.get_logger())  # the module's own may be bound to an earlier service
    ledger = Ledger(open_engine(new_ledger(tmp_path / "ledger.db")))
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("ALTER TABLE entries RENAME TO hidden")
        other.commit()
        for number in range(20):
            await _write_concurrently(ledger, [number])
        other.execute("ALTER TABLE hidden RENAME TO entries")
        other.commit()
    await _write_concurrently(ledger, [21])
    ledger.close()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["ledger cannot be written", "ledger can be written again"]
    assert "no such table" in lines[0]["cause"]
    assert {line["service"] for line in lines} == {"test"}
    assert lines[1]["refused"] == 19
