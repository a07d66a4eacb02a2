"""Python programs as processes: started anew, or, in a test run, forked from one process with the libraries loaded."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from testing.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
_SOCKET: Final = "FORK_SERVER_SOCKET"
_READ_AT_START: Final = ("PYTHON", "LD_", "MALLOC_", "OMP_", "GRPC_", "LANG", "LC_")
"""Prefixes of variables that the interpreter or a library reads once, at its start."""


class Process(Protocol):
    """The part of `subprocess.Popen` that is used here."""

    pid: int

    @property
    def returncode(self) -> int | Any: ...  # noqa: D102

    def poll(self) -> int | None: ...  # noqa: D102

    def wait(self, timeout: float | None = None) -> int: ...  # noqa: D102

    def send_signal(self, sig: int) -> None: ...  # noqa: D102

    def terminate(self) -> None: ...  # noqa: D102

    def kill(self) -> None: ...  # noqa: D102


@dataclass
class CpuTime:
    """CPU time."""

    seconds: float = 0.0


CPU_OF_FORKED: Final = CpuTime()
"""CPU time of forked processes that have ended and were waited for."""


class Forked:
    """A process forked by the fork server, with the interface of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], connection: socket.socket) -> None:
        self.args, self._connection = list(arguments), connection
        self.pid = int(connection.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or the negative number of the signal that ended it; None while it runs."""
        with contextlib.suppress(TimeoutError):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            self._connection.settimeout(timeout if timeout else None)
            flags = socket.MSG_DONTWAIT if timeout == 0 else 0
            try:
                status = self._connection.recv(64, flags)
            except (TimeoutError, BlockingIOError):
                if timeout == 0:
                    raise TimeoutError from None
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            code, seconds = status.split() if status else (-signal.SIGKILL, 0)
            self.returncode = int(code)
            CPU_OF_FORKED.seconds += float(seconds)
            self._connection.close()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send a signal if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def fork_server() -> Iterator[None]:
    """Let `launch` fork while the context lasts, in this process and in all that it starts.

    Tests do so. Benches and `make chaos` do not: they measure processes as users start them.
    """
    with tempfile.TemporaryDirectory(prefix="vouch-fork-") as folder:
        path = str(Path(folder) / "socket")
        process = subprocess.Popen([PYTHON, "-m", "testing.servers.fork_server", path], cwd=ROOT, stdin=subprocess.PIPE)
        os.environ[_SOCKET] = path
        try:
            yield
        finally:
            del os.environ[_SOCKET]
            process.communicate()  # end of standard input ends it; its forked processes keep running


def _fork(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], files: Sequence[int], own_group: bool
) -> Forked:
    request = {"arguments": command[1:], "environment": environment, "folder": str(folder), "own_group": own_group}
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wait_for(lambda: _connects(connection), what="the fork server")
    socket.send_fds(connection, [json.dumps(request).encode()], list(files))
    return Forked(command, connection)


def _connects(connection: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        connection.connect(os.environ[_SOCKET])
        return True
    return False


def launch(
    command: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None,
    stdout: int | None = None, stderr: int | None = None, start_new_session: bool = False,
) -> Process:  # fmt: skip
    """Start a command whose first word is this interpreter; `stdout` and `stderr` are file descriptors."""
    environment = dict(os.environ if env is None else env)
    program = command[0] == PYTHON and (command[1] == "-m" or not command[1].startswith("-"))
    if program and _SOCKET in os.environ and _early(environment) == _early(os.environ):
        with open(os.devnull) as nothing:
            files = [nothing.fileno(), 1 if stdout is None else stdout, 2 if stderr is None else stderr]
            return _fork(command, cwd, environment, files, start_new_session)
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        start_new_session=start_new_session,
    )  # fmt: skip


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_START) and name != "PYTHONDONTWRITEBYTECODE"
    }


def run(
    *command: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, seconds: float = 600.0
) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours to its end, and return everything it prints."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = launch([PYTHON, *command], cwd=cwd, env=env, stdout=output.fileno(), stderr=errors.fileno())
        try:
            code = process.wait(seconds)
        except BaseException:
            process.kill()
            process.wait()
            raise
        outputs = []
        for file in (output, errors):
            file.seek(0)
            outputs.append(file.read().decode())
    return subprocess.CompletedProcess([PYTHON, *command], code, *outputs)
