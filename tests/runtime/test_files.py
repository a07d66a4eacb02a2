"""Atomic file writes: the content is on disk before the name refers to it."""

import os
from pathlib import Path
from typing import Any

import pytest

from ml_server.registry.bundle import Bundle
from ml_server.registry.store import CURRENT, load, save
from runtime.process.files import OutputError, atomic_write


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record syncs and renames, in order, by name."""
    found: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        found.append(f"sync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        sync(descriptor)

    def replaced(source: Any, target: Any, **more: Any) -> None:
        found.append(f"rename to {Path(target).name}")
        replace(source, target, **more)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells the names of open files")
def test_a_renamed_file_is_on_disk_first(tmp_path: Path, steps: list[str]) -> None:
    """The content is synced, then renamed, then the folder is synced; a failure leaves the old file."""
    path = tmp_path / "keys"
    with atomic_write(path) as partial:
        partial.write_text("new")
    assert steps == [f"sync .keys.{os.getpid()}.partial", "rename to keys", f"sync {tmp_path.name}"]
    with pytest.raises(OutputError), atomic_write(path) as partial:
        raise OSError("no room")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells the names of open files")
def test_a_saved_model_is_on_disk_first(model: Bundle, tmp_path: Path, steps: list[str]) -> None:
    """Every file of a model and its folder are synced before the version's name refers to it, and then the names."""
    saved = save(tmp_path / "models", model)
    renamed = steps.index(f"rename to {saved.name}")
    files = {f"sync {path.name}" for path in saved.iterdir()}
    assert files <= set(steps[:renamed])
    assert steps[renamed - 1].startswith("sync .new-")
    assert steps[renamed + 1] == "sync models"
    assert steps[-2:] == [f"rename to {CURRENT}", "sync models"]
    assert load(tmp_path / "models").version == model.version
