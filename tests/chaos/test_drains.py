"""Replicas drained under load."""

from pathlib import Path

from chaos.process_kills import drain_replicas


async def test_draining_costs_no_call(models: Path, tmp_path: Path) -> None:
    """SIGTERM of one of two replicas under load: exit code 0, and no call fails."""
    drain = await drain_replicas(tmp_path, models, drains=1, rate=100, between=50)
    assert len(drain.outcome.answers) >= 100
    assert (drain.outcome.failures.total(), drain.outcome.lost) == (0, 0)
    assert drain.codes == [0]
