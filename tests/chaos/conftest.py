"""Fixtures of the chaos tests."""

import pytest

PLACES = 6
"""Below the edge's limit for reviews of one worker."""


@pytest.fixture(autouse=True)
def _limit_calls_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the calls in flight: on a slow machine a stream falls behind, and refusals for that are no failures."""
    monkeypatch.setattr("testing.load.at_once", PLACES)
