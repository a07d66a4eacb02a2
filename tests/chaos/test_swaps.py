"""Models swapped under load."""

from pathlib import Path

import pytest

from chaos.swaps import served_files, swap_models
from ml_server.registry.bundle import TABLES, TREES
from ml_server.registry.store import CURRENT, load


@pytest.fixture(params=[TABLES, TREES])
def model_of_each_form(request: pytest.FixtureRequest, small_models: Path) -> Path:
    """Return a folder with a small model of each form that the default may have."""
    found: Path = small_models / request.param
    return found


async def test_models_swap_under_load(model_of_each_form: Path, tmp_path: Path) -> None:
    """Models of either form swap in every worker, no call fails, answers name their model, broken ones are refused."""
    swaps = await swap_models(tmp_path, model_of_each_form, swaps=3, rate=30, between=10)
    assert len(swaps.outcome.answers) >= 30
    assert (dict(swaps.outcome.failures), swaps.outcome.lost, swaps.wrong) == ({}, 0, 0)
    assert {answer.model_version for _, answer in swaps.outcome.answers} >= {"second"}  # type: ignore[attr-defined]
    assert swaps.refused >= 2 * len(served_files((model_of_each_form / CURRENT).resolve()))


def test_every_served_file_is_damaged(model_of_each_form: Path) -> None:
    """The damaged files are those that this form of model has and that serving reads."""
    files = served_files((model_of_each_form / CURRENT).resolve())
    own = "terms.npz" if load(model_of_each_form).metadata.parameters["form"] == TABLES else "trees.json"
    assert files == sorted([own, "features.json", "calibration.json", "examples.json"])
