"""Fixtures of the ledger's tests."""

import asyncio
from pathlib import Path

import pytest

from agent_server.audit.signing import make_key
from testing.ledger.templates import new_ledger
from testing.ledger.whole_ledger import write_whole_ledger


@pytest.fixture(scope="module")
def signed_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a signed ledger and its key."""
    folder = tmp_path_factory.mktemp("tampering")
    make_key(folder / "key.pem")
    asyncio.run(write_whole_ledger(new_ledger(folder / "ledger.db"), folder / "key.pem"))
    return folder
