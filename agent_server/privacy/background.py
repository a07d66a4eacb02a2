"""Removes erased bytes in the background: at once after an erasure, and again until nothing blocks it."""

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from agent_server.ledger import Ledger
from agent_server.privacy.erasing import empty_erased_cases
from agent_server.privacy.progress import Progress, Stage, read_progress
from agent_server.privacy.scrubbing import Scrubber
from runtime.telemetry.logging import get_logger

EVERY_SECONDS: Final = 5.0
_MAX_PAUSE_SECONDS: Final = 300.0
_log = get_logger()


class ErasureWork:
    """Runs the scrubber in its own thread."""

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        self._ledger = ledger
        self._scrubber = Scrubber(engine)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="erasure")
        self._running: asyncio.Future[Progress] | None = None
        self._pause, self._not_before, self._requested = EVERY_SECONDS, 0.0, 0

    async def run_once(self) -> None:
        """Continue pending work. Pauses get longer while the same erasures are blocked.

        Raises SQLAlchemyError or Unavailable if the database is unavailable.
        """
        progress = await self.progress()
        if progress.stage is Stage.DONE:
            return
        if progress.requested != self._requested:
            self._requested, self._pause, self._not_before = progress.requested, EVERY_SECONDS, 0.0
        if time.monotonic() < self._not_before:
            return
        while await self._ledger.write(empty_erased_cases):
            pass
        progress = await self._run()
        if progress.stage is Stage.DONE:
            _log.info("erased data was removed from the database's files", erasures=progress.requested)
            return
        _log.warning("erased data is not yet removed from the database's files", waiting_for=progress.waiting_for)
        self._not_before = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _MAX_PAUSE_SECONDS)

    async def finish(self, within_seconds: float) -> Progress:
        """Continue pending work, and return its state when it is done or the time is over. The work itself goes on.

        Raises Unavailable if the database is unavailable.
        """
        with contextlib.suppress(TimeoutError, sa.exc.SQLAlchemyError):
            async with asyncio.timeout(within_seconds):
                return await self._run()
        return await self.progress()

    async def progress(self) -> Progress:
        """Return the state of the work. Raises Unavailable if the database is unavailable."""
        return await self._ledger.read_in_background(read_progress)

    def close(self) -> None:
        """Stop after the current step. Pending work continues after the next start."""
        self._scrubber.stop()
        self._thread.shutdown()
        self._scrubber.release()

    async def _run(self) -> Progress:
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().run_in_executor(self._thread, self._scrubber.run)
        return await asyncio.shield(self._running)
