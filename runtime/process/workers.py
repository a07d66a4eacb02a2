"""Several processes of one server behind one port: started, watched, replaced when they die, drained together.

The kernel spreads connections over the sockets that share the port (SO_REUSEPORT). The supervisor holds the port without
listening, so that it stays theirs while a worker is replaced.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from runtime.process.terminal import Terminal
from runtime.telemetry.logging import get_logger
from runtime.web.exposition import Exposition

CANNOT_START = 2
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_KILL_AFTER = 5.0
_INSIST_SECONDS = 0.3

_log = get_logger()


_started: Connection | None = None


def begin(started: Connection) -> None:
    """In a worker: remember whom to tell that it listens."""
    global _started  # noqa: PLW0603  one worker is one process
    _started = started


def report_started() -> None:
    """In a worker: tell the supervisor that it listens, so that it is replaced at once should it die. Elsewhere nothing."""
    if _started is not None:
        with contextlib.suppress(OSError):  # the supervisor is gone, which the worker notices by itself
            _started.send(True)


class PortTaken(Exception):
    """The address to listen on is in use; the message names it."""


def reserve(address: str) -> socket.socket:
    """A socket bound to `address` that shares its port and never listens. Raises PortTaken."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, _, _, endpoint = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:  # without sharing: fails where anybody listens, even who would share
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(endpoint)
            endpoint = probe.getsockname()
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(endpoint)
    except (OSError, ValueError) as error:
        raise PortTaken(f"cannot listen on {address}: the port is in use or the address is not here") from error
    return held


class Supervisor:
    """Keeps `count` worker processes running until a signal. SIGHUP goes on to all of them.

    Workers are forked off a process that has imported everything and does nothing else (multiprocessing's fork server):
    a new one is there in a fraction of the time that Python takes to start, and no thread or socket of ours is forked.
    """

    def __init__(
        self, work: Callable[..., None], arguments: tuple[Any, ...], preload: str, count: int, shown: Exposition | None
    ) -> None:
        self._work, self._arguments, self._count, self._shown = work, arguments, count, shown
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([preload])
        self._running: dict[int, BaseProcess] = {}
        self._heard: dict[int, Connection] = {}
        self._stopping, self._terminal = asyncio.Event(), Terminal()
        self._signals = 0
        self._codes: list[int] = []

    async def run(self) -> int:
        """Run until stopped; return the exit code: 0 all drained, 1 some did not, 2 none could start."""
        loop = asyncio.get_running_loop()
        # Inherited by the fork server and its workers: one that is still starting must not die of a SIGHUP, nor the fork
        # server of a SIGTERM to the whole group, as service managers send it. Workers hear SIGTERM again (`process`).
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        forkserver.ensure_running()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_sighup)
        self._show()
        await asyncio.gather(*(self._keep(slot) for slot in range(self._count)))
        _log.info("all workers stopped", codes=self._codes)
        if CANNOT_START in self._codes:
            return CANNOT_START
        return int(any(self._codes))

    async def _keep(self, slot: int) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            heard, started = self._context.Pipe(duplex=False)
            worker = self._context.Process(target=self._work, args=(started, *self._arguments), name=f"worker-{slot}")
            worker.start()
            started.close()
            pid = worker.pid or 0
            self._running[pid], self._heard[pid] = worker, heard
            self._show()
            _log.info("worker started", slot=slot, pid=pid)
            code = await _ended(worker)
            listened = _listened(heard)
            heard.close()
            del self._running[pid], self._heard[pid]
            self._show()
            if self._shown:
                self._shown.forget(pid)
            if self._stopping.is_set():
                # One that was told to stop while it was starting had nothing to drain.
                self._codes.append(0 if code == -signal.SIGTERM else code)
                return
            pause = _FIRST_PAUSE if listened else min(2 * pause, _LONGEST_PAUSE)
            _log.error("worker died", slot=slot, pid=pid, code=code, pause=pause)
            if code == CANNOT_START:  # it has said why; another one would say the same
                self._codes.append(code)
                self._stop()
                return
            # One that never listened is not tried again and again at once.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _on_sighup(self) -> None:
        self._stop() if self._terminal.closed() else self._send(signal.SIGHUP)

    def _stop(self) -> None:
        if not self._stopping.is_set():
            # One that has only just been forked does not hear signals yet, and one that is starting has nothing to drain.
            self._insist({pid for pid, heard in self._heard.items() if not heard.poll()})
        self._stopping.set()
        self._send(signal.SIGTERM)
        self._signals += 1
        if self._signals > 1:
            asyncio.get_running_loop().call_later(_KILL_AFTER, self._send, signal.SIGKILL)

    def _insist(self, pids: set[int]) -> None:
        """Tell some workers again and again, until they end."""
        if left := pids & self._running.keys():
            self._send(signal.SIGTERM, left)
            asyncio.get_running_loop().call_later(_INSIST_SECONDS, self._insist, left)

    def _send(self, number: int, pids: Iterable[int] | None = None) -> None:
        for pid in self._running if pids is None else pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _show(self) -> None:
        if self._shown:
            self._shown.workers.set(len(self._running))


async def _ended(worker: BaseProcess) -> int:
    """The exit code, when there is one: below 0 the signal that ended it."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(worker.sentinel, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(worker.sentinel)
    worker.join()
    return worker.exitcode or 0


def _listened(heard: Connection) -> bool:
    """Whether a worker that ended had told that it listens."""
    try:
        return heard.poll() and bool(heard.recv())
    except (EOFError, OSError):
        return False


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
