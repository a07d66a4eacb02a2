"""Syncs the database's log in a thread of its own: while a group of writes is synced, the next one runs."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from agent_server.database.log import Log, SyncFailed
from agent_server.metrics import SYNCS
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

Done = Callable[[Exception | None], None]
"""Called after a sync, with the error if it failed."""
_WAIT_SECONDS = 10.0
_log = get_logger()


class LogSync:
    """Puts committed writes on disk, all that wait with one sync.

    After SyncFailed nothing is synced any more: the system may have dropped what it could not write, and a later sync
    would succeed without it.
    """

    def __init__(self) -> None:
        """Start the thread."""
        self.failure: SyncFailed | None = None
        self._waiting: queue.SimpleQueue[tuple[Log, Done | None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-sync", daemon=True)
        self._thread.start()

    def after_sync(self, log: Log, done: Done) -> None:
        """Call `done` in the thread once all commits up to now are on disk, or cannot be."""
        self._waiting.put((log, done))

    def wait(self, log: Log) -> None:
        """Return once all commits up to now are on disk. Raises the error of the sync, or TimeoutError."""
        synced: Future[Exception | None] = Future()
        self.after_sync(log, synced.set_result)
        if error := synced.result(_WAIT_SECONDS):
            raise error

    def release(self, log: Log) -> None:
        """Close a log after the syncs that wait for it."""
        self._waiting.put((log, None))

    def close(self) -> None:
        """Finish the syncs that wait, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        closed = False
        while not closed:
            first = self._waiting.get()
            batch = [first]
            while not self._waiting.empty():
                batch.append(self._waiting.get())
            closed = None in batch
            by_log: dict[Log, list[Done | None]] = {}
            for item in batch:
                if item is not None:
                    by_log.setdefault(item[0], []).append(item[1])
            for log, callbacks in by_log.items():
                try:
                    self._sync(log, callbacks)
                except Exception as error:  # the thread goes on after any error, since there is no other one
                    _log.error("ledger sync failed", error=type(error).__name__, where=traceback_frames(error))

    def _sync(self, log: Log, callbacks: list[Done | None]) -> None:
        waiting = [done for done in callbacks if done is not None]
        error = self._sync_once(log) if waiting else None
        for done in waiting:
            done(error)
        if len(waiting) < len(callbacks):
            log.close()

    def _sync_once(self, log: Log) -> Exception | None:
        if self.failure is not None:
            return self.failure
        try:
            log.sync()
        except Exception as error:
            if isinstance(error, SyncFailed):
                self.failure = error
            return error
        SYNCS.inc()
        return None
