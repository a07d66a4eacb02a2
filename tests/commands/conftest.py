"""Fixtures of the commands' tests."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def models_folder(small_models: Path, tmp_path: Path) -> Path:
    """Return a private folder of models, to be damaged."""
    version = (small_models / "tables" / "current").resolve()
    shutil.copytree(version, tmp_path / "models" / version.name)
    (tmp_path / "models" / "current").symlink_to(version.name)
    return tmp_path / "models"
