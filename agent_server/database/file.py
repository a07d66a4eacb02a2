"""Checks that SQLite's file is still the one that was opened: writes to a deleted or replaced file are lost."""

import os
from pathlib import Path

from agent_server.database.log import log_path

Identity = tuple[int, int]


class FileLost(Exception):
    """The file is gone or another one. The message says which."""


class LedgerFile:
    """The identity of the file at a path, and of its write-ahead log since the writer opened it."""

    def __init__(self, path: Path) -> None:
        self.path, self._log = path, log_path(path)
        self._opened = _identity(path)
        self._log_opened: Identity | None = None

    def forget_log(self) -> None:
        """Forget the log's identity: with its last connection closed, SQLite creates a new write-ahead log."""
        self._log_opened = None

    def check(self) -> None:
        """Raise FileLost if writes went, or would go, into a file that was deleted or replaced."""
        for path, opened in ((self.path, self._opened), (self._log, self._log_opened)):
            if opened is not None and (now := _identity(path)) != opened:
                raise FileLost(f"{path.name} is {'gone' if now is None else 'another file now'}")
        if self._log_opened is None:
            self._log_opened = _identity(self._log)


def _identity(path: Path) -> Identity | None:
    try:
        status = os.stat(path)  # twice as fast as Path.stat, and called four times for each group of writes
    except OSError:
        return None
    return status.st_dev, status.st_ino
