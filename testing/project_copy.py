"""Copies of the project: to run the recipes in, and to put faults into."""

import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

from testing.servers.launching import ROOT


def files_of_the_project() -> list[Path]:
    """Return the files that git tracks, or would track, relative to the root."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


def copy_project(folder: Path) -> Path:
    """Copy the project into a folder, with the environment of this process as its .venv; return the folder."""
    for path in files_of_the_project():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target)
        if path.suffix == ".py" and (compiled := Path(cache_from_source(str(ROOT / path)))).exists():
            # Compiled already, for a file of this size and time: saves half a second per process.
            Path(cache_from_source(str(target))).parent.mkdir(exist_ok=True)
            shutil.copy2(compiled, cache_from_source(str(target)))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder
