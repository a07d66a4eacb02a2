"""Free ports, room for files, and waiting for what takes a while."""

import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

START_SECONDS = 120.0
_ROOM_BYTES = 6 << 30
# Below what Linux (32768) and the others give to outgoing connections: one of those could take a port before its server does.
_FIRST_PORT, _PORTS_EACH, _WORKERS = 20_000, 1500, 8


def _ports() -> Iterator[int]:
    """The ports of this process, none twice before all were given: workers of one run have slices of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    begun = secrets.randbelow(_PORTS_EACH)
    for count in itertools.count(begun):
        yield _FIRST_PORT + worker * _PORTS_EACH + count % _PORTS_EACH


_next_ports = _ports()


def roomy_memory() -> Path | None:
    """A folder in memory, where tests write fast; None where there is little memory."""
    folder = Path("/dev/shm")
    try:
        free, pages = os.statvfs(folder), os.sysconf("SC_AVPHYS_PAGES")
    except (OSError, ValueError):
        return None
    return folder if min(free.f_bavail * free.f_frsize, pages * os.sysconf("SC_PAGE_SIZE")) > _ROOM_BYTES else None


def free_port() -> int:
    """A port that nobody listens on now."""
    for port in itertools.islice(_next_ports, _PORTS_EACH):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of the {_PORTS_EACH} ports of this process is free")


def wait_for(condition: Callable[[], bool], seconds: float = START_SECONDS, what: str = "condition") -> float:
    """Seconds until the condition holds; raises RuntimeError when it does not within the time."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.02)
    raise RuntimeError(f"{what} did not come about within {seconds:g} s")
