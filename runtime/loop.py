"""The event loop of every server: uvloop where it exists."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

if sys.platform == "win32":

    def run(main: Coroutine[Any, Any, None]) -> None:
        """Run to the end on asyncio's own loop."""
        asyncio.run(main)

else:
    import uvloop

    def run(main: Coroutine[Any, Any, None]) -> None:
        """Run to the end on uvloop."""
        uvloop.run(main)
