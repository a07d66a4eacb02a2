"""More calls than the concurrency limit."""

from dataclasses import replace
from pathlib import Path

import pytest
from grpc import StatusCode

from chaos.overload import Crowd, OverloadResult, overload_batches, overload_reviews
from testing.load import Outcome

ENOUGH = 30


def _check(overload: OverloadResult) -> None:
    refused = overload.flood.failures["RESOURCE_EXHAUSTED"]
    assert set(overload.flood.failures) <= {
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
    }  # the other status: a connection was too slow
    of_overload = [error for error in overload.flood.errors if error.code() == StatusCode.RESOURCE_EXHAUSTED]
    assert replace(overload, flood=Outcome(errors=of_overload)).with_retry_info == refused > 0
    assert len(overload.flood.answers) >= ENOUGH  # how many, and how fast, are figures of `make chaos`
    assert overload.flood.lost == 0
    assert overload.resident_peak - overload.resident_before < 100e6
    assert (len(overload.after.answers), overload.after.failures.total()) == (ENOUGH, 0)


@pytest.mark.envoy
async def test_overload_is_refused_at_once(models: Path, tmp_path: Path) -> None:
    """With ten callers per unit of the limit the edge refuses with RESOURCE_EXHAUSTED and RetryInfo, then recovers."""
    _check(await overload_reviews(tmp_path, models, 0.0, crowd=Crowd(80, ENOUGH)))


@pytest.mark.envoy
async def test_overload_of_batches_is_refused_at_once(models: Path, tmp_path: Path) -> None:
    """The same with batches."""
    _check(await overload_batches(tmp_path, models, 0.0, Crowd(40, ENOUGH)))
