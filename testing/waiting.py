"""Free ports, memory for files, and waiting for conditions."""

import contextlib
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

START_SECONDS = 600.0
_ROOM_BYTES = 6 << 30
# Below the range of outgoing connections on Linux (32768) and elsewhere: one could take a port before its server.
_FIRST_PORT, _PORTS_EACH, _WORKERS = 20_000, 1500, 8


def _ports() -> Iterator[int]:
    """Yield ports for this process, each once before any is repeated; workers of one run have separate ranges."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    begun = secrets.randbelow(_PORTS_EACH)
    for count in itertools.count(begun):
        yield _FIRST_PORT + worker * _PORTS_EACH + count % _PORTS_EACH


_next_ports = _ports()


def memory_folder() -> Path | None:
    """Return a folder in memory, for fast writes; None if memory is short."""
    folder = Path("/dev/shm")
    try:
        free, pages = os.statvfs(folder), os.sysconf("SC_AVPHYS_PAGES")
    except (OSError, ValueError):
        return None
    return folder if min(free.f_bavail * free.f_frsize, pages * os.sysconf("SC_PAGE_SIZE")) > _ROOM_BYTES else None


def free_port() -> int:
    """Return a port that nothing listens on now."""
    for port in itertools.islice(_next_ports, _PORTS_EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of the {_PORTS_EACH} ports of this process is free")


def free_port_base() -> int:
    """Return a base from which the ports of `vouch up --port-base` are free. They are below those of `free_port`."""
    from runtime.settings import PORT_OFFSETS

    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    for _ in range(_PORTS_EACH):
        base = 10_000 + 1000 * worker + secrets.randbelow(900)
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for offset in set(PORT_OFFSETS.values()):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", base + offset))
            return base
    raise RuntimeError("no base has free ports")


def wait_for(condition: Callable[[], bool], seconds: float = START_SECONDS, what: str = "condition") -> float:
    """Wait until a condition is true and return the seconds. Raises RuntimeError after the timeout."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.02)
    raise RuntimeError(f"{what} did not come about within {seconds:g} s")
