"""Reads the files that settings name: regular files only, up to a size limit, without blocking.

A FIFO, a device or an endless file must not block a process. A refused file raises OSError like a missing file, so that
callers handle both in the same way.
"""

import errno
import io
import os
import stat
from pathlib import Path
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))


class UnusableFile(OSError):
    """A file that exists but is refused; `strerror` says why."""

    def __init__(self, path: Path, why: str, code: int = errno.EINVAL) -> None:
        super().__init__(code, why, str(path))


def open_file(path: Path, max_bytes: int) -> io.BufferedReader:
    """Open a regular file of at most `max_bytes` bytes for reading. Raise OSError or UnusableFile."""
    check_status(path, os.stat(path), max_bytes)  # before opening: opening some devices has side effects
    descriptor = os.open(path, _FLAGS)
    try:
        check_status(path, os.fstat(descriptor), max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes` bytes. Raise OSError or UnusableFile."""
    with open_file(path, max_bytes) as file:
        content = file.read(max_bytes + 1)
    if content is None:  # a file in /proc without data yet
        raise UnusableFile(path, "is not a regular file")
    if len(content) > max_bytes:
        raise _too_large(path, max_bytes)
    return content


def check_file(path: Path, max_bytes: int) -> None:
    """Raise OSError unless a library may open this path: a readable regular file of at most `max_bytes` bytes."""
    open_file(path, max_bytes).close()


def check_status(path: Path, status: os.stat_result, max_bytes: int) -> None:
    """Raise UnusableFile unless `status` describes a regular file of at most `max_bytes` bytes."""
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile(path, "is a folder", errno.EISDIR)
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile(path, "is not a regular file")
    if status.st_size > max_bytes:
        raise _too_large(path, max_bytes)


def _too_large(path: Path, max_bytes: int) -> UnusableFile:
    limit = f"{max_bytes // MIB} MiB" if max_bytes >= MIB else f"{max_bytes // KIB} KiB"
    return UnusableFile(path, f"is larger than {limit}", errno.EFBIG)
