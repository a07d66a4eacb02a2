"""Wheels of the project, and environments that contain them and the dependencies of one extra only."""

import os
import subprocess
import venv
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path

from testing.distribution.extras import installed
from testing.servers.processes import Stack, run


def build_wheel(project: Path, folder: Path) -> Path:
    """Return the wheel of a project, made by its own build backend."""
    done = run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=project)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, folder: Path) -> Path:
    """Return a folder with the content of a wheel of pure Python."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def make_environment(folder: Path, unpacked: Path, dependencies: Iterable[str]) -> Path:
    """Return Python of a new environment with an unpacked wheel, and links to some installed distributions.

    Links cost no network and keep the bytecode of this environment; versions are the locked ones.
    """
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in dependencies:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).is_symlink():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    for entry in unpacked.iterdir():
        (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def environment_of(extra: str, folder: Path, unpacked: Path) -> Path:
    """Return Python of a new environment as `pip install 'vouch[extra]'` makes it; "" is one without an extra."""
    return make_environment(folder, unpacked, installed(extra))


def variables(**more: str) -> dict[str, str]:
    """Return this process's environment variables, without settings of Vouch and Python."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VOUCH_", "PYTHON"))}
    return clean | more


def complete(python: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python of an environment in a folder outside the project, to its end."""
    return subprocess.run(
        [str(python), *arguments], cwd=folder, env=variables(), capture_output=True, text=True, timeout=240, check=False
    )


def output_of(python: Path, folder: Path, *arguments: str) -> str:
    """Return what Python of an environment prints. It must succeed."""
    done = complete(python, folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class InstalledStack(Stack):
    """The services, each from an environment of its own."""

    pythons: Mapping[str, Path] = field(default_factory=dict)
    """Python of each service."""

    def command(self, name: str) -> list[str]:
        """Return the command that starts a service from its environment."""
        _, *arguments = super().command(name)
        python = self.pythons[name]
        if name == "edge":
            arguments[0] = str(next(python.parent.parent.glob("lib/python*/site-packages/vouch/envoy/run.py")))
        return [str(python), *arguments]

    def start(self, *names: str) -> None:
        """Start services without waiting; the agent makes its ledger itself."""
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    self.command(name), cwd=self.folder, env=variables(**self.environment()), stdout=log, stderr=log
                )
