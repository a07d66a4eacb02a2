"""Several processes of one server behind one port: started, watched, replaced when they die, drained together.

The kernel spreads connections over the sockets that share the port (SO_REUSEPORT). The supervisor holds the port without
listening, so that it stays theirs while a worker is replaced.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence

from runtime.logging import get_logger
from runtime.metrics import Exposition

CANNOT_START = 2
_STEADY_SECONDS = 2.0  # who lived as long had started well
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_KILL_AFTER = 5.0

_log = get_logger()


class PortTaken(Exception):
    """The address to listen on is in use; the message names it."""


def reserve(address: str) -> socket.socket:
    """A socket bound to `address` that shares its port and never listens. Raises PortTaken."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, _, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:  # without sharing: fails where anybody listens, even who would share
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            place = probe.getsockname()
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(place)
    except (OSError, ValueError) as error:
        raise PortTaken(f"cannot listen on {address}: the port is in use or the address is not here") from error
    return held


class Supervisor:
    """Keeps `count` worker processes running until a signal. SIGHUP goes on to all of them."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], count: int, shown: Exposition | None):
        self._command, self._environment, self._count, self._shown = command, environment, count, shown
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._signals = 0
        self._codes: list[int] = []

    async def run(self) -> int:
        """Run until stopped; return the exit code: 0 all drained, 1 some did not, 2 none could start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._send, signal.SIGHUP)
        self._show()
        await asyncio.gather(*(self._keep(slot) for slot in range(self._count)))
        _log.info("all workers stopped", codes=self._codes)
        if CANNOT_START in self._codes:
            return CANNOT_START
        return int(any(self._codes))

    async def _keep(self, slot: int) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            worker = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.PIPE, preexec_fn=_deaf_to_hangup
            )
            self._running[worker.pid] = worker
            self._show()
            _log.info("worker started", slot=slot, pid=worker.pid)
            code = await worker.wait()
            del self._running[worker.pid]
            self._show()
            if self._shown:
                self._shown.forget(worker.pid)
            if self._stopping.is_set():
                # One that was told to stop while it was starting had nothing to drain.
                self._codes.append(0 if code == -signal.SIGTERM else code)
                return
            _log.error("worker died", slot=slot, pid=worker.pid, code=code)
            if code == CANNOT_START:  # it has said why; another one would say the same
                self._codes.append(code)
                self._stop()
                return
            if time.monotonic() - started >= _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            else:
                pause = min(2 * pause, _LONGEST_PAUSE)
                try:
                    await asyncio.wait_for(self._stopping.wait(), pause)
                except TimeoutError:
                    continue

    def _stop(self) -> None:
        self._stopping.set()
        self._send(signal.SIGTERM)
        self._signals += 1
        if self._signals > 1:
            asyncio.get_running_loop().call_later(_KILL_AFTER, self._send, signal.SIGKILL)

    def _send(self, number: int) -> None:
        for worker in self._running.values():
            try:
                worker.send_signal(number)
            except ProcessLookupError:
                continue

    def _show(self) -> None:
        if self._shown:
            self._shown.workers.set(len(self._running))


def _deaf_to_hangup() -> None:
    """A worker that is still starting must not die of a SIGHUP: it will read the current model anyway."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def worker_command(module: str, insecure: bool) -> list[str]:
    """The command of one worker."""
    return [sys.executable, "-m", module, "--worker", *(["--insecure"] if insecure else [])]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
