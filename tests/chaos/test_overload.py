"""More reviews than there is capacity for."""

from pathlib import Path

import pytest

from chaos.overload import overload_batches, overload_reviews


@pytest.mark.envoy
async def test_overload_is_refused_at_once(models: Path, tmp_path: Path) -> None:
    """Ten times the capacity: the edge refuses with RESOURCE_EXHAUSTED and RetryInfo; a second later all is well."""
    overload = await overload_reviews(tmp_path, models, seconds=2.0, times=10.0)
    assert set(overload.flood.failures) == {"RESOURCE_EXHAUSTED"}
    assert overload.with_retry_info == len(overload.flood.errors) > 0
    assert len(overload.flood.answers) > 10  # how many, and how fast, are figures of `make chaos`
    assert overload.resident_peak - overload.resident_before < 100e6
    assert overload.after.failures.total() == 0


@pytest.mark.envoy
async def test_overload_of_batches_is_refused_at_once(models: Path, tmp_path: Path) -> None:
    """More batches than the scorer takes: what is refused is RESOURCE_EXHAUSTED, others are answered, and all is well after."""
    overload = await overload_batches(tmp_path, models, seconds=2.0)
    assert set(overload.flood.failures) <= {"RESOURCE_EXHAUSTED"}
    assert overload.with_retry_info == len(overload.flood.errors)
    assert len(overload.flood.answers) > 0
    assert overload.after.failures.total() == 0
