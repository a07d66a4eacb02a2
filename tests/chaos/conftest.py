"""What tests of chaos share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.servers.postgres import Postgres, binaries, running

PLACES = 6
"""Below the edge's places for reviews of one worker."""


@pytest.fixture(autouse=True)
def _no_more_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of calls falls behind its rate where the machine is slow: refusals for that are no failures of ours."""
    monkeypatch.setattr("testing.load.at_once", PLACES)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with tempfile.TemporaryDirectory(prefix="vouch-pg-") as folder, running(Path(folder)) as server:
        yield server
