"""The services that the tests of this folder share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testing.in_process import Doors, doors


@pytest.fixture
async def transports(tmp_path: Path) -> AsyncIterator[Doors]:
    """Real services without a model: what is hostile is refused before a score is asked for."""
    async with doors(tmp_path / "none", tmp_path) as found:
        yield found
