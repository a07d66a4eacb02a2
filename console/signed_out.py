"""Sessions that were ended by signing out: their cookies are not expired yet, but are no longer accepted."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from runtime.files import MIB, check_status

_MAX_EXPIRED_LINES, _MAX_BYTES = 1000, 64 * MIB


class SignedOutSessions:
    """Ids of ended sessions, until they expire.

    With `path` they are stored in a file of lines `expires id`. Signing out then survives a restart, and applies to
    every process that encrypts cookies with the same key.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        """Read the file. Raises OSError if it cannot be read or is not a regular file."""
        self._path, self._clock = path, clock
        self._expires: dict[str, float] = {}
        self._stamp: object = None
        if path is not None:
            with _locked(path):
                pass  # creates the file
        self._refresh()

    def add(self, session_id: str, expires: float) -> None:
        """Add an ended session; with a file, durably.

        Args:
            session_id: the session's id.
            expires: seconds since 1970 when its cookies expire.

        """
        now = self._clock()
        self._expires = {name: until for name, until in self._expires.items() if until > now} | {session_id: expires}
        if self._path is None:
            return
        with _locked(self._path) as file:
            lines = file.read().splitlines(keepends=True)
            valid = [line for line in lines if _expiry(line) > now]
            if len(lines) - len(valid) > _MAX_EXPIRED_LINES:
                file.seek(0)
                file.truncate()
                file.writelines(valid)
            file.write(f"{expires:.0f} {session_id}\n")
            file.flush()
            os.fsync(file.fileno())

    def __contains__(self, session_id: str) -> bool:
        """Return whether a session was ended, by this process or another one with the same file."""
        self._refresh()
        return session_id in self._expires

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return  # the file was deleted: keep the known ids; the next sign-out creates it again
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return
        try:
            with _locked(self._path) as file:
                lines = [line.split() for line in file.read().splitlines()]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._expires |= {line[1]: _expiry(line[0]) for line in lines if len(line) == 2}
        self._stamp = stamp


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    """Open a file for reading from its start and for appending, with an exclusive lock. Raises OSError."""
    # Non-blocking, so that a FIFO in the file's place is an error and does not block.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK, 0o600)
    try:
        check_status(path, os.fstat(descriptor), _MAX_BYTES)
        opened = os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")
    except BaseException:
        os.close(descriptor)
        raise
    with opened as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _expiry(line: str) -> float:
    try:
        return float(line.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return 0.0
