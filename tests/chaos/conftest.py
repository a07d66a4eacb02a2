"""What tests of chaos share."""

import pytest

PLACES = 6
"""Below the edge's places for reviews of one worker."""


@pytest.fixture(autouse=True)
def _no_more_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of calls falls behind its rate where the machine is slow: refusals for that are no failures of ours."""
    monkeypatch.setattr("testing.load.at_once", PLACES)
