"""Several worker processes of one server on one port: started, supervised, replaced when they die, drained together.

The kernel distributes connections over the sockets that share the port (SO_REUSEPORT). The supervisor binds the port
without listening, so that it stays reserved while a worker is replaced.
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
_KILL_SECONDS = 5.0
_RESEND_SECONDS = 0.3

_log = get_logger()


_started: Connection | None = None


def set_start_pipe(started: Connection) -> None:
    """In a worker: set the pipe that `report_started` writes to."""
    global _started  # noqa: PLW0603  one worker is one process
    _started = started


def report_started() -> None:
    """In a worker: report that it listens, so that it is replaced at once if it dies. Elsewhere do nothing."""
    if _started is not None:
        with contextlib.suppress(OSError):  # the supervisor has ended; the worker notices that elsewhere
            _started.send(True)


class PortTaken(Exception):
    """An address to listen on that is in use; the message names it."""


def reserve_address(address: str) -> socket.socket:
    """Return a socket bound to `address` that shares its port and never listens. Raise PortTaken."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, _, _, endpoint = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:  # without SO_REUSEPORT: fails if any process listens
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(endpoint)
            endpoint = probe.getsockname()
        held = socket.socket(family, kind)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(endpoint)
    except (OSError, ValueError) as error:
        raise PortTaken(f"cannot listen on {address}: the port is in use or the address is not local") from error
    return held


class Supervisor:
    """Supervisor that keeps `count` worker processes running until a signal, and forwards SIGHUP to them.

    Workers are forked from a process that has imported everything and does nothing else (multiprocessing's fork
    server): they start in a fraction of the time of a new Python process, and inherit no threads or sockets of the
    supervisor.
    """

    def __init__(
        self,
        work: Callable[..., None],
        arguments: tuple[Any, ...],
        preload: str,
        count: int,
        exposition: Exposition | None,
    ) -> None:
        self._work, self._arguments, self._count, self._exposition = work, arguments, count, exposition
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([preload])
        self._workers: dict[int, BaseProcess] = {}
        self._start_pipes: dict[int, Connection] = {}
        self._stopping, self._terminal = asyncio.Event(), Terminal()
        self._stop_requests = 0
        self._codes: list[int] = []

    async def run(self) -> int:
        """Run until stopped; return the exit code: 0 if all workers drained, 1 if not, 2 if they could not start."""
        loop = asyncio.get_running_loop()
        # Inherited by the fork server and its workers: a SIGHUP must not end a starting worker, and a SIGTERM to the group,
        # as service managers send it, must not end the fork server. Workers restore SIGTERM (`_run_worker` in main.py).
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        forkserver.ensure_running()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_sighup)
        self._update_metric()
        await asyncio.gather(*(self._supervise(slot) for slot in range(self._count)))
        _log.info("all workers stopped", codes=self._codes)
        if CANNOT_START in self._codes:
            return CANNOT_START
        return int(any(self._codes))

    async def _supervise(self, slot: int) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            start_pipe, started = self._context.Pipe(duplex=False)
            worker = self._context.Process(target=self._work, args=(started, *self._arguments), name=f"worker-{slot}")
            worker.start()
            started.close()
            pid = worker.pid or 0
            self._workers[pid], self._start_pipes[pid] = worker, start_pipe
            self._update_metric()
            _log.info("worker started", slot=slot, pid=pid)
            code = await _wait_for_exit(worker)
            reported = _has_reported_start(start_pipe)
            start_pipe.close()
            del self._workers[pid], self._start_pipes[pid]
            self._update_metric()
            if self._exposition:
                self._exposition.remove_worker(pid)
            if self._stopping.is_set():
                # A worker that was stopped while starting had nothing to drain.
                self._codes.append(0 if code == -signal.SIGTERM else code)
                return
            pause = _FIRST_PAUSE if reported else min(2 * pause, _LONGEST_PAUSE)
            _log.error("worker died", slot=slot, pid=pid, code=code, pause=pause)
            if code == CANNOT_START:  # the worker printed the cause; a new one would fail in the same way
                self._codes.append(code)
                self._stop()
                return
            # Wait before the restart, so that a worker that fails to start does not loop.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _on_sighup(self) -> None:
        self._stop() if self._terminal.is_closed() else self._send_signal(signal.SIGHUP)

    def _stop(self) -> None:
        if not self._stopping.is_set():
            # A worker that was just forked ignores signals at first, and a starting one has nothing to drain.
            self._resend_stop({pid for pid, start_pipe in self._start_pipes.items() if not start_pipe.poll()})
        self._stopping.set()
        self._send_signal(signal.SIGTERM)
        self._stop_requests += 1
        if self._stop_requests > 1:
            asyncio.get_running_loop().call_later(_KILL_SECONDS, self._send_signal, signal.SIGKILL)

    def _resend_stop(self, pids: set[int]) -> None:
        """Send SIGTERM to some workers repeatedly until they end."""
        if remaining := pids & self._workers.keys():
            self._send_signal(signal.SIGTERM, remaining)
            asyncio.get_running_loop().call_later(_RESEND_SECONDS, self._resend_stop, remaining)

    def _send_signal(self, number: int, pids: Iterable[int] | None = None) -> None:
        for pid in self._workers if pids is None else pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _update_metric(self) -> None:
        if self._exposition:
            self._exposition.workers.set(len(self._workers))


async def _wait_for_exit(worker: BaseProcess) -> int:
    """Wait for a worker to end; return its exit code, or minus the number of the signal that ended it."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(worker.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(worker.sentinel)
    worker.join()
    return worker.exitcode or 0


def _has_reported_start(start_pipe: Connection) -> bool:
    """Return whether a worker that ended had reported that it listens."""
    try:
        return start_pipe.poll() and bool(start_pipe.recv())
    except (EOFError, OSError):
        return False


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
