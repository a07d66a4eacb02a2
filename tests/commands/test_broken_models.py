"""Damaged models, and names that are no version."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.commands import ended

DAMAGES: dict[str, Callable[[Path], object]] = {
    "metadata empty": lambda folder: (folder / "metadata.json").write_text(""),
    "metadata a list": lambda folder: (folder / "metadata.json").write_text("[]"),
    "metadata lacks figures": lambda folder: (folder / "metadata.json").write_text('{"dataset": {"rows": "x"}}'),
    "metadata null": lambda folder: (folder / "metadata.json").write_text('{"metrics": null, "dataset": null}'),
    "metadata no text": lambda folder: (folder / "metadata.json").write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_models(damage: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model with damaged metadata is named in the list beside the others; it is neither promoted nor used."""
    version = (trained / "current").resolve()
    shutil.copytree(version, trained / "good")
    DAMAGES[damage](version)
    known = ["--models-dir", str(trained)]
    module = __import__("ml_server.commands.models", fromlist=["main"])
    assert module.main([*known]) == 2
    shown = capsys.readouterr()
    assert f"{version.name}" in shown.err
    assert "good" in shown.out
    assert version.name in ended(capsys, "models", *known, "promote", version.name)
    ended(capsys, "score", str(tmp_path / "x.csv"), "--output", str(tmp_path / "s.csv"), *known)


@pytest.mark.parametrize("version", ["current", ".", "..", "../models", "none", "", "a/b", "x" * 100])
def test_no_version_is_promoted_that_is_none(version: str, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`current` and other names that are no version are refused, and the served model stays."""
    before = os.readlink(trained / "current")
    ended(capsys, "models", "--models-dir", str(trained), "promote", version)
    assert os.readlink(trained / "current") == before
    assert (trained / "current").is_dir()


def test_a_current_that_is_a_folder_stays(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If `current` is a folder, promoting reports it and changes nothing."""
    version = os.readlink(trained / "current")
    (trained / "current").unlink()
    (trained / "current").mkdir()
    assert "is a folder" in ended(capsys, "models", "--models-dir", str(trained), "promote", version)
    assert (trained / "current").is_dir()
    assert not list(trained.glob(".current*"))


def test_a_model_is_not_praised_for_what_it_was_fitted_on(
    models: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`vouch evaluate` on the training file measures the held-out part and says so; the regret equals that of training."""
    from ml_server.commands.evaluate import main

    assert main(["--dataset", str(dataset), "--models-dir", str(models)]) == 0
    shown = capsys.readouterr().out
    assert "is the training file of model" in shown
    assert "measured only on its held-out part, the last 3,000 of 20,000 rows" in shown
    metrics = json.loads((models / "current" / "metadata.json").read_text())["metrics"]
    assert f"{metrics['roc_auc']:.4f}" in shown
