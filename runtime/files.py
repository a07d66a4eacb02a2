"""Reads the files that settings name: regular files only, up to a limit, and never waiting for somebody to write.

A FIFO, a device or an endless file in the place of a list or of keys must not stop a process. What `read_file` refuses is an
OSError, as a missing file is, so that callers handle both alike.
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
    """A file that is there and is not read; `strerror` says why."""

    def __init__(self, path: Path, why: str, code: int = errno.EINVAL) -> None:
        super().__init__(code, why, str(path))


def open_file(path: Path, most: int) -> io.BufferedReader:
    """Open a regular file of at most `most` bytes for reading. Raises OSError, UnusableFile for what is no such file."""
    check_status(path, os.stat(path), most)  # before it is opened: opening some devices does something
    descriptor = os.open(path, _FLAGS)
    try:
        check_status(path, os.fstat(descriptor), most)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes. Raises OSError, UnusableFile for what is no such file."""
    with open_file(path, most) as file:
        content = file.read(most + 1)
    if content is None:  # a file of /proc that has nothing to read yet
        raise UnusableFile(path, "is not a regular file")
    if len(content) > most:
        raise _too_large(path, most)
    return content


def check_file(path: Path, most: int) -> None:
    """Raise OSError unless a path is a readable regular file of at most `most` bytes: for libraries that open it themselves."""
    open_file(path, most).close()


def check_status(path: Path, status: os.stat_result, most: int) -> None:
    """Raise UnusableFile unless a status is that of a regular file of at most `most` bytes."""
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile(path, "is a folder", errno.EISDIR)
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile(path, "is not a regular file")
    if status.st_size > most:
        raise _too_large(path, most)


def _too_large(path: Path, most: int) -> UnusableFile:
    shown = f"{most // MIB} MiB" if most >= MIB else f"{most // KIB} KiB"
    return UnusableFile(path, f"is larger than {shown}", errno.EFBIG)
