"""Tuning of the gRPC core: experiments and thread priority.

Import this module before grpc, which reads its experiments on import; the package `runtime` does so.
"""

import os
import threading
from pathlib import Path

EXPERIMENTS = "-event_engine_listener,-event_engine_client"
"""Disabled experiments. Both pass each event to a thread pool; without them the polling thread does the work, which
saves thread switches per call. The names depend on the gRPC version; a test checks that the pinned version knows
them."""
_THREADS = Path("/proc/self/task")


def configure_grpc() -> None:
    """Set the gRPC experiments, unless GRPC_EXPERIMENTS is set."""
    os.environ.setdefault("GRPC_EXPERIMENTS", EXPERIMENTS)


def lower_grpc_thread_priority(nice: int) -> int:
    """Lower the priority of the current gRPC core threads; return their number. Only Linux has thread priorities.

    gRPC threads wake Python threads for each message. With a lower priority, Python runs first on a shared core and
    then finds several messages at once. A value far above 4 would starve gRPC on a busy machine.
    """
    python = {thread.native_id for thread in threading.enumerate()}
    changed = 0
    for folder in _THREADS.glob("*") if _THREADS.exists() else ():
        try:
            name = (folder / "comm").read_text().strip()
            if int(folder.name) not in python and name in ("event_engine", "grpc_global_tim", "lifeguard"):
                os.setpriority(os.PRIO_PROCESS, int(folder.name), nice)
                changed += 1
        except OSError:
            continue  # the thread ended, or the change is not permitted; leave the priority unchanged
    return changed
