"""Whether SQLite's file is still the one that was opened: one that was deleted or replaced takes writes into nothing."""

from pathlib import Path

Identity = tuple[int, int]


class FileLost(Exception):
    """The file is gone or is another one; the message says which."""


class LedgerFile:
    """Remembers which file a path named, and its write-ahead log since the writer opened it."""

    def __init__(self, path: Path) -> None:
        self._path, self._log = path, path.with_name(path.name + "-wal")
        self._opened = _identity(path)
        self._log_opened: Identity | None = None

    def reopened(self) -> None:
        """The writer's connection is new: with the last one closed, SQLite makes a new write-ahead log."""
        self._log_opened = None

    def check(self) -> None:
        """Raise FileLost where what was written went, or would go, into a file that has no name any more."""
        for path, opened in ((self._path, self._opened), (self._log, self._log_opened)):
            if opened is not None and (now := _identity(path)) != opened:
                raise FileLost(f"{path.name} is {'gone' if now is None else 'another file now'}")
        if self._log_opened is None:
            self._log_opened = _identity(self._log)


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
