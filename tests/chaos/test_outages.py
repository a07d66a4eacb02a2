"""The scorer unavailable under load."""

from pathlib import Path

from chaos.outages import stop_scorer


async def test_an_outage_of_the_scorer_is_no_outage(models: Path, tmp_path: Path) -> None:
    """The scorer stops under load: no error, no approval without a score, and every degraded case is rescored later."""
    outage = await stop_scorer(tmp_path, models, rate=30, seconds=0.0, answers=20)
    assert outage.degraded >= 20
    assert [error.debug_error_string() for error in outage.away.errors] == []
    assert (outage.away.failures, outage.away.lost, outage.unseen_approvals) == ({}, 0, 0)
