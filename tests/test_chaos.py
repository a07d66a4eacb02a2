"""What `make chaos` does with full counts, here with few: real processes killed, swapped, drained, flooded, fuzzed."""

from pathlib import Path

import pytest

from chaos.drains import drain_replicas
from chaos.fuzz import fuzz
from chaos.idlers import idle_beside
from chaos.kills import kill_workers
from chaos.overload import overload_reviews
from chaos.swaps import swap_models


async def test_killed_workers_cost_no_call(models: Path, tmp_path: Path) -> None:
    """Kill -9 of workers under load: the client policy brings every call to an answer, and the workers are replaced."""
    found = await kill_workers(tmp_path, models, kills=2, rate=150)
    assert len(found.outcome.answers) >= 300
    assert (found.outcome.failures.total(), found.outcome.lost) == (0, 0)
    assert len(found.recoveries) == 2  # how fast is a figure of `make chaos`


async def test_models_swap_under_load(models: Path, tmp_path: Path) -> None:
    """Promoted models serve in every worker, no call fails, answers name who made them, and a broken one is refused."""
    found = await swap_models(tmp_path, models, swaps=3, rate=100)
    assert len(found.outcome.answers) >= 60
    assert (found.outcome.failures.total(), found.outcome.lost, found.wrong) == (0, 0, 0)
    assert {answer.model_version for _, answer in found.outcome.answers} >= {"second"}  # type: ignore[attr-defined]
    assert found.refused >= 2


async def test_draining_costs_no_call(models: Path, tmp_path: Path) -> None:
    """SIGTERM of one of two replicas under load: exit code 0, and no call fails."""
    found = await drain_replicas(tmp_path, models, drains=1, rate=150)
    assert len(found.outcome.answers) >= 200
    assert (found.outcome.failures.total(), found.outcome.lost) == (0, 0)
    assert found.codes == [0]


@pytest.mark.envoy
async def test_overload_is_refused_at_once(models: Path, tmp_path: Path) -> None:
    """Ten times the capacity: the edge refuses with RESOURCE_EXHAUSTED and RetryInfo; a second later all is well."""
    found = await overload_reviews(tmp_path, models, seconds=2.0, times=10.0)
    assert set(found.flood.failures) == {"RESOURCE_EXHAUSTED"}
    assert found.with_retry_info == len(found.flood.errors) > 0
    assert len(found.flood.answers) > 10  # how many, and how fast, are figures of `make chaos`
    assert found.resident_peak - found.resident_before < 100e6
    assert found.after.failures.total() == 0


@pytest.mark.envoy
async def test_idle_callers_take_no_place(models: Path, tmp_path: Path) -> None:
    """Beside 100 callers that watch, converse in silence or dribble, every review through the edge is answered."""
    found = await idle_beside(tmp_path, models, idlers=100, rate=20, seconds=2.0)
    assert len(found.alone.answers) > 10
    assert len(found.beside.answers) > 10
    assert not found.alone.failures
    assert not found.beside.failures


async def test_nothing_on_the_wire_is_internal(models: Path, tmp_path: Path) -> None:
    """Messages of any shape, bytes that are none, connections of garbage: a status that fits, and the servers live."""
    found = await fuzz(tmp_path, models, cases=500)
    assert found.statuses.total() >= 500
    assert not found.bad
    assert found.alive
    assert found.statuses["OK"] > 0
