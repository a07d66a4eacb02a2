"""The services that the tests of this folder share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testing.in_process import LocalServices, local_services


@pytest.fixture
async def transports(tmp_path: Path) -> AsyncIterator[LocalServices]:
    """Real services without a model: what is hostile is refused before a score is asked for."""
    async with local_services(tmp_path / "none", tmp_path) as found:
        yield found
