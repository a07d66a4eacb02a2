"""gRPC's core: what it is told before it is loaded, and how its threads stand beside Python's.

This module must be imported before grpc, which reads its experiments when it is loaded: `runtime` does so.
"""

import os
import threading
from pathlib import Path

EXPERIMENTS = "-event_engine_listener,-event_engine_client"
"""Both hand each event to a thread of a pool; without, the thread that polls does the work, which spares each call thread
switches. Names are gRPC's own and change with it: a test holds that the pinned one knows them."""
_THREADS = Path("/proc/self/task")


def configure_grpc() -> None:
    """Choose gRPC's experiments, unless the user has by GRPC_EXPERIMENTS."""
    os.environ.setdefault("GRPC_EXPERIMENTS", EXPERIMENTS)


def lower_grpc_thread_priority(nice: int) -> int:
    """Lower the priority of the threads that gRPC's core has now; how many there are. Only Linux knows it by thread.

    They wake Python's at each message. Where both want one core, Python's goes first, and then finds several messages at
    once. Much more than 4 would starve them beside a busy neighbour.
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
            continue  # ended meanwhile, or not allowed: then all stays as it was
    return changed
