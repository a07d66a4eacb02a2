"""Scorers that are slow for some orders."""

from pathlib import Path

from agent_server.scoring.request_batcher import MAX_BATCHES
from chaos.slow_scorers import hold_scorer_calls


async def test_slow_calls_hold_up_no_other_order(models: Path, tmp_path: Path) -> None:
    """Two scorers hold all but one of an agent's calls: other orders are scored meanwhile, and the held ones later."""
    at_once = MAX_BATCHES - 1
    found = await hold_scorer_calls(tmp_path, models, rounds=2, rate=60, at_once=at_once, answers=20)
    assert (found.refused, found.unscored, found.early, found.counted_failures) == (0, 0, 0, 0)
    assert found.fewest_meanwhile >= 20
    assert found.slow == 2 * at_once
