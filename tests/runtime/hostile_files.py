"""Files that no setting accepts, and files that can be used."""

import os
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent_server.decisions.policy import Policy
from testing.servers.certificates import Certificates

SECONDS = 60.0
DEFAULTS = Policy(0.7, 0.4)


# -- hostile files


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # addresses of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def _pipe(path: Path) -> None:
    path.symlink_to(f"/dev/fd/{os.pipe()[0]}")  # as /dev/stdin of a process in a pipeline; stays open


def _too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)  # sparse: the disk stores nothing


HOSTILE: dict[str, Callable[[Path], object]] = {
    "fifo": _fifo,
    "folder": Path.mkdir,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/ptmx"),
    "pipe": _pipe,
    "socket": _socket,
    "too large": _too_large,
    "empty": Path.touch,
    "unreadable": lambda path: path.symlink_to(
        "/proc/self/mem"
    ),  # a regular file that also root cannot read from its start
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
}


# -- files that can be used


@dataclass(frozen=True)
class ValidFiles:
    """Valid files for all settings but the tested one."""

    folder: Path
    models: Path
    certificates: Certificates

    def model(self) -> Path:
        """Return a copy of the model that may be damaged."""
        target = self.folder / "models"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.models, target, symlinks=True)
        return target


def run_with_timeout(read: Callable[[], object]) -> object:
    """Return the result or the exception of a call; fail if it hangs, and leave its thread behind."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(read())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "it hangs"
    return outcome[0]
