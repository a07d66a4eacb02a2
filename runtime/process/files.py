"""Files that are complete or not there at all, and their digests."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from runtime.files import open_file


class OutputError(Exception):
    """The file cannot be written; the message says which and why."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path to write to; it becomes `path` only when the block ends well, and else is removed. Raises OutputError."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"{path}: this is a folder")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        # On disk before the name leads there, and the name too: after a power cut the old file is there or the new one.
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():  # Windows opens no folders, and keeps names by itself
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path, most: int | None = None) -> str:
    """SHA-256 of a file, in hex. With `most`, only of a regular file of at most so many bytes. Raises OSError."""
    with path.open("rb") if most is None else open_file(path, most) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
