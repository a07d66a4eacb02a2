"""The event loop of every server: uvloop where it exists."""

import asyncio
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
