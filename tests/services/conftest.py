"""What tests of the doors share."""

from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One client, so that a connection that was dropped shows."""
    with httpx.Client(timeout=20) as found:
        yield found
