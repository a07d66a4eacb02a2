"""Damaged models, and names that are no version."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.commands import error_of_command

DAMAGES: dict[str, Callable[[Path], object]] = {
    "metadata empty": lambda folder: (folder / "metadata.json").write_text(""),
    "metadata a list": lambda folder: (folder / "metadata.json").write_text("[]"),
    "metadata lacks figures": lambda folder: (folder / "metadata.json").write_text('{"dataset": {"rows": "x"}}'),
    "metadata null": lambda folder: (folder / "metadata.json").write_text('{"metrics": null, "dataset": null}'),
    "metadata no text": lambda folder: (folder / "metadata.json").write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_models(damage: str, models_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model with damaged metadata is named in the list beside the others; it is neither promoted nor used."""
    version = (models_folder / "current").resolve()
    shutil.copytree(version, models_folder / "good")
    DAMAGES[damage](version)
    known = ["--models-dir", str(models_folder)]
    module = __import__("ml_server.commands.models", fromlist=["main"])
    assert module.main([*known]) == 1
    shown = capsys.readouterr()
    assert f"{version.name}" in shown.err
    assert "good" in shown.out
    assert version.name in error_of_command(capsys, "models", *known, "promote", version.name)
    error_of_command(capsys, "score", str(tmp_path / "x.csv"), "--output", str(tmp_path / "s.csv"), *known)


@pytest.mark.parametrize("version", ["current", ".", "..", "../models", "none", "", "a/b", "x" * 100])
def test_unknown_versions_are_not_promoted(
    version: str, models_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`current` and other names that are no version are refused, and the served model stays."""
    before = os.readlink(models_folder / "current")
    error_of_command(capsys, "models", "--models-dir", str(models_folder), "promote", version)
    assert os.readlink(models_folder / "current") == before
    assert (models_folder / "current").is_dir()


def test_a_current_that_is_a_folder_stays(models_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If `current` is a folder, promoting reports it and changes nothing."""
    version = os.readlink(models_folder / "current")
    (models_folder / "current").unlink()
    (models_folder / "current").mkdir()
    assert "is a folder" in error_of_command(capsys, "models", "--models-dir", str(models_folder), "promote", version)
    assert (models_folder / "current").is_dir()
    assert not list(models_folder.glob(".current*"))


def test_evaluation_measures_the_held_out_part(
    models: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`vouch evaluate` on the training file measures the held-out part; the regret equals that of training."""
    from ml_server.commands.evaluate import main

    assert main(["--dataset", str(dataset), "--models-dir", str(models)]) == 0
    shown = capsys.readouterr().out
    assert "is the training file of model" in shown
    assert "measured only on its held-out part, the last 3,000 of 20,000 rows" in shown
    metrics = json.loads((models / "current" / "metadata.json").read_text())["metrics"]
    assert f"{metrics['roc_auc']:.4f}" in shown
