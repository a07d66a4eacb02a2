"""Workers killed under load: no call fails."""

from pathlib import Path

from chaos.process_kills import kill_workers


async def test_killed_workers_cost_no_call(models: Path, tmp_path: Path) -> None:
    """After kill -9 of workers under load, the client policy gets every call answered, and workers are replaced."""
    kills = await kill_workers(tmp_path, models, kills=2, rate=100, between=40)
    assert len(kills.outcome.answers) >= 120
    assert (kills.outcome.failures.total(), kills.outcome.lost) == (0, 0)
    assert len(kills.recoveries) == 2  # how fast is a figure of `make chaos`
