"""The event loop of every server, uvloop where it exists, and what else keeps it going smoothly."""

import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

if sys.platform == "win32":

    def run(main: Coroutine[Any, Any, T]) -> T:
        """Run to the end on asyncio's own loop."""
        return asyncio.run(main)

else:
    import uvloop

    def run(main: Coroutine[Any, Any, T]) -> T:
        """Run to the end on uvloop."""
        return uvloop.run(main)


def tune_gc(*, first: bool = False) -> None:
    """Spare the collector what lives as long as the process, and let it look for cycles less often.

    gRPC's calls are cycles of a few dozen objects; looking for them every 700 objects, as is the default, costs a tenth.
    May be called again, as after a change of models: what was spared before and is garbage now is collected. Where it is the
    `first` time that could be, what is spared stays so: a forked process then shares it with its parent, instead of copying it.
    """
    gc.set_threshold(10_000, 20, 50)
    if not first:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
