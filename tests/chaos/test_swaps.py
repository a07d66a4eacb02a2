"""Models swapped under load."""

from pathlib import Path

from chaos.swaps import swap_models


async def test_models_swap_under_load(models: Path, tmp_path: Path) -> None:
    """Promoted models serve in every worker, no call fails, answers name who made them, and a broken one is refused."""
    swaps = await swap_models(tmp_path, models, swaps=3, rate=100)
    assert len(swaps.outcome.answers) >= 60
    assert (swaps.outcome.failures.total(), swaps.outcome.lost, swaps.wrong) == (0, 0, 0)
    assert {answer.model_version for _, answer in swaps.outcome.answers} >= {"second"}  # type: ignore[attr-defined]
    assert swaps.refused >= 2
