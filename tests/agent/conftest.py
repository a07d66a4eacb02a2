"""Fixtures of the agent's tests: ledgers on both databases."""

from pathlib import Path

import pytest

from testing.ledger.templates import compile_once, new_ledger, new_ledger_on
from testing.servers.postgres import Postgres

compile_once()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty ledger, once on each database."""
    if request.param == "sqlite":
        return new_ledger(tmp_path / "ledger.db")
    return new_ledger_on(request.getfixturevalue("postgres"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database without tables, once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


TIMED = ("test_ledger_failures", "test_writes", "test_health", "test_overload", "test_scorer_failures")
"""Test files about the limits themselves."""


@pytest.fixture(autouse=True)
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Widen the limits for writes and locks, for machines with other load."""
    if request.path.stem not in TIMED:
        monkeypatch.setattr("agent_server.ledger.writer.WRITE_TIMEOUT_SECONDS", 120.0)
        monkeypatch.setattr("agent_server.database.engine.BUSY_SECONDS", 60.0)
        monkeypatch.setattr("agent_server.database.engine.CONNECT_SECONDS", 60)
        monkeypatch.setattr("agent_server.database.engine.IDLE_MILLISECONDS", 60_000)


@pytest.fixture
def wide_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widen the limits for health checks and writes, so that a slow machine misses none."""
    monkeypatch.setattr("agent_server.scoring.client.HEALTH_SECONDS", 60.0)
    monkeypatch.setattr("agent_server.ledger.writer.WRITE_TIMEOUT_SECONDS", 60.0)
