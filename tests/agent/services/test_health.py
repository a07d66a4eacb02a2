"""Health: an agent is healthy exactly while a review could be recorded, and the check leaves nothing behind."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy.engine import Engine

from agent_server.audit.verify import verify_ledger
from agent_server.database.engine import connect, writing
from agent_server.ledger import Ledger, open_engine, reading
from agent_server.ledger.queries import latest_record
from agent_server.running import running
from agent_server.settings import AgentSettings
from agent_server.tables import METADATA
from agent_server.write_probe import WriteProbe
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from runtime.errors import Unavailable
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger

WRITTEN = (
    "entries", "payloads", "cases", "case_changes", "case_events", "attempts", "memory", "head", "row_changes", "proofs",
    "replaced_attempts",
)  # fmt: skip
READ = ("folded", "folded_devices")
_ACTIONS = ("INSERT", "UPDATE")
NOT_NEEDED = {
    "import_exclusions": "only erasures write to it",
    "erasure_progress": "only erasures write to it",
    "outcomes": "only reports of outcomes write to it",
    "golden_copies": "only golden cases write to it",
}
"""Tables that reviews do not need, each with the reason."""


def test_every_table_is_listed() -> None:
    """A new table is listed as needed by a review, or as not needed with the reason."""
    assert {*WRITTEN, *READ, *NOT_NEEDED} == set(METADATA.tables)


def _counts(url: str) -> dict[str, int]:
    with reading(url) as connection:
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for name, table in METADATA.tables.items()
        }


def _run(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)


@contextlib.contextmanager
def _renamed(engine: Engine, table: str) -> Iterator[None]:
    """Rename a table, so that it is missing."""
    _run(engine, f"ALTER TABLE {table} RENAME TO hidden")
    yield
    _run(engine, f"ALTER TABLE hidden RENAME TO {table}")


@contextlib.contextmanager
def _read_only(engine: Engine, table: str) -> Iterator[None]:
    """Make a table read-only."""
    if engine.dialect.name == "sqlite":
        names = {
            f"no_{action}": f"BEFORE {action} ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END" for action in _ACTIONS
        }
        drop = [f"DROP TRIGGER {name}" for name in names]
    else:
        body = "RETURNS trigger AS $$BEGIN RAISE EXCEPTION 'no'; END$$ LANGUAGE plpgsql"
        _run(engine, f"CREATE OR REPLACE FUNCTION refuse() {body}")
        names = {"no_write": f"BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"}
        drop = [f"DROP TRIGGER no_write ON {table}"]
    _run(engine, *(f"CREATE TRIGGER {name} {how}" for name, how in names.items()))
    yield
    _run(engine, *drop)


async def test_a_check_needs_what_a_review_needs_and_leaves_nothing(ledger_url: str) -> None:
    """Without a table that a review reads or writes, or with a read-only one, the ledger is unavailable.

    With it back, it is available. Twenty checks leave no row but the process's own, and the chain unchanged.
    """
    ledger = Ledger(open_engine(ledger_url), probe=WriteProbe(use_history=True))
    engine = connect(ledger_url)
    await ledger.write(new_decision(1))
    assert await ledger.available(0)
    before = await asyncio.to_thread(_counts, ledger_url)
    for _ in range(20):
        assert await ledger.available(0)
    assert await asyncio.to_thread(_counts, ledger_url) == before
    with reading(ledger_url) as connection:
        assert not verify_ledger(connection, None).broken
    wrong = list[str]()
    for spoil, tables in ((_renamed, (*WRITTEN, *READ)), (_read_only, WRITTEN)):
        for table in tables:
            with spoil(engine, table):
                if await ledger.available(0):
                    wrong.append(f"{spoil.__name__} {table}")
            assert await ledger.available(0), table
    for table in NOT_NEEDED:
        with _renamed(engine, table):
            assert await ledger.available(0), table
    assert wrong == []
    assert await asyncio.to_thread(_counts, ledger_url) == before
    engine.dispose()
    ledger.close()


async def test_a_locked_table_is_unavailable(ledger_url: str) -> None:
    """On PostgreSQL, a lock on any table that a review writes makes the ledger unavailable."""
    if not ledger_url.startswith("postgresql"):
        pytest.skip("SQLite locks the whole database")
    ledger = Ledger(open_engine(ledger_url), probe=WriteProbe(use_history=True))
    engine = connect(ledger_url)
    for table in (*WRITTEN, *READ):
        with writing(engine) as connection, connection.begin():
            connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            assert not await ledger.available(0), table
    assert await ledger.available(0)
    engine.dispose()
    ledger.close()


async def test_an_agent_without_memory_does_not_need_its_tables(tmp_path: Path) -> None:
    """Without history, the tables of attempts may be missing, and no others."""
    url = new_ledger(tmp_path / "ledger.db")
    ledger, engine = Ledger(open_engine(url), probe=WriteProbe(use_history=False)), connect(url)
    for table in ("attempts", "folded", "folded_devices"):
        with _renamed(engine, table):
            assert await ledger.available(0), table
    with _renamed(engine, "cases"):
        assert not await ledger.available(0)
    engine.dispose()
    ledger.close()


async def test_a_failed_write_is_followed_by_a_check(tmp_path: Path) -> None:
    """The result of a check is cached, but not beyond a failed write."""
    url = new_ledger(tmp_path / "ledger.db")
    ledger, engine = Ledger(open_engine(url), probe=WriteProbe(use_history=True)), connect(url)
    assert await ledger.available(1000)
    with _read_only(engine, "payloads"):
        assert await ledger.available(1000)
        with pytest.raises(sa.exc.IntegrityError):
            await ledger.write(new_decision(1))
        assert not await ledger.available(1000)
    assert await ledger.available(1000)
    engine.dispose()
    ledger.close()


@pytest.mark.parametrize("table", ["cases", "attempts"])
async def test_health_checks_report_it(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent is NOT_SERVING while a table is missing that only some reviews need, and SERVING again afterwards."""
    monkeypatch.setattr("agent_server.running.WRITE_PROBE_SECONDS", 0.1)
    url = new_ledger(tmp_path / "ledger.db")
    settings = AgentSettings(listen="127.0.0.1:0", metrics_listen="", ledger_url=url, scorer="127.0.0.1:1")
    engine = open_engine(url)
    async with (
        running(settings, handle_signals=False) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)

        watched = health.Watch(health_pb2.HealthCheckRequest(service="vouch.v1.AgentService"), timeout=60)

        async def until(wanted: int) -> None:
            async for update in watched:
                if update.status == wanted:
                    return
            raise AssertionError(wanted)

        await until(health_pb2.HealthCheckResponse.SERVING)
        with _renamed(engine, table):
            await until(health_pb2.HealthCheckResponse.NOT_SERVING)
        await until(health_pb2.HealthCheckResponse.SERVING)
    engine.dispose()


async def test_retries_at_a_locked_ledger_fail_at_once(tmp_path: Path) -> None:
    """While SQLite is locked, the first write waits and later ones fail at once: five tries of a client wait once.

    Reads go on, and the first write is recorded after the lock.
    """
    url = new_ledger(tmp_path / "ledger.db")
    ledger, waited = Ledger(open_engine(url)), list[float]()
    await ledger.write(new_decision(0))
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        original = ledger._group_commit.run

        def commit(writes, *, failing):  # type: ignore[no-untyped-def]
            begun = time.thread_time(), time.monotonic()
            try:
                return original(writes, failing=failing)
            finally:
                waited.append(time.monotonic() - begun[1])

        ledger._group_commit.run = commit  # type: ignore[method-assign]
        for number in range(5):
            with pytest.raises(Unavailable):
                await ledger.write(new_decision(number + 1))
        assert await ledger.read(latest_record("t0")) is not None
        assert not await ledger.available()
        other.execute("ROLLBACK")
    assert waited[0] > 1.0
    assert sum(waited[1:5]) < waited[0] * 4, "each try waited as long as the first"
    await ledger.write(new_decision(9))
    assert await ledger.available()
    assert ledger._group_commit._connection is not None
    driver = ledger._group_commit._connection.connection.driver_connection
    assert driver is not None and driver.execute("PRAGMA busy_timeout").fetchone() == (1500,)
    ledger.close()


async def test_a_client_of_a_locked_ledger_gets_an_error_before_its_deadline(tmp_path: Path) -> None:
    """A client with a deadline of five seconds and our retry policy gets UNAVAILABLE, not DEADLINE_EXCEEDED."""
    from runtime.client.channels import options

    url = new_ledger(tmp_path / "ledger.db")
    settings = AgentSettings(listen="127.0.0.1:0", metrics_listen="", ledger_url=url, scorer="127.0.0.1:1")
    async with (
        running(settings, handle_signals=False) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=options()) as channel,
    ):
        stub = AgentServiceStub(channel)
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Review(pb.ReviewRequest(transaction=message()), timeout=5)
            other.execute("ROLLBACK")
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        answer = await stub.Review(pb.ReviewRequest(transaction=message()), timeout=30)
        assert answer.decision == pb.DECISION_REVIEW
