"""Services that the tests of this folder share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testing.in_process import LocalServices, local_services


@pytest.fixture
async def transports(tmp_path: Path) -> AsyncIterator[LocalServices]:
    """Run real services without a model: hostile requests are refused before a score is requested."""
    async with local_services(tmp_path / "none", tmp_path) as found:
        yield found
