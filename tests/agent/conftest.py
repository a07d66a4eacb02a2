"""What tests of the agent share: ledgers on both databases."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.servers.postgres import Postgres, binaries, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with tempfile.TemporaryDirectory(prefix="vouch-pg-") as folder, running(Path(folder)) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty ledger, once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


TIMED = ("test_ledger_failures", "test_writes", "test_health", "test_overload")
"""Files whose tests are about the limits themselves."""


@pytest.fixture(autouse=True)
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let writes and locks take as long as they do on a machine with other work."""
    if request.path.stem not in TIMED:
        monkeypatch.setattr("agent_server.ledger.writer.PATIENCE_SECONDS", 120.0)
        monkeypatch.setattr("agent_server.database.engine.BUSY_SECONDS", 60.0)
