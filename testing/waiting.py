"""Free ports, and waiting for what takes a while."""

import socket
import time
from collections.abc import Callable

START_SECONDS = 120.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = START_SECONDS, what: str = "condition") -> float:
    """Seconds until the condition holds; raises RuntimeError when it does not within the time."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if condition():
            return time.monotonic() - begun
        time.sleep(0.02)
    raise RuntimeError(f"{what} did not come about within {seconds:g} s")
