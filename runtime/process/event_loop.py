"""The event loop of all servers (uvloop where available) and garbage collector tuning."""

import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

if sys.platform == "win32":

    def run(main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on asyncio's event loop."""
        return asyncio.run(main)

else:
    import uvloop

    def run(main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on uvloop."""
        return uvloop.run(main)


def tune_gc(*, first: bool = False) -> None:
    """Exclude long-lived objects from garbage collection, and collect less often.

    gRPC calls are cycles of a few dozen objects; the default collection every 700 objects costs a tenth of the time.
    May be called again, for example after a model swap: frozen objects that are garbage by then are collected. With
    `first`, frozen objects stay frozen, so that a forked process shares them with its parent instead of copying them.
    """
    gc.set_threshold(10_000, 20, 50)
    if not first:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
