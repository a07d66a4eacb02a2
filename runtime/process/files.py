"""Atomic file writes and file digests."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from runtime.files import open_file


class OutputError(Exception):
    """A file that cannot be written; the message names it and the cause."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` if the block succeeds, else is removed. Raise OutputError."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: folder {path.parent} does not exist")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        # Sync the content, then the rename: after a power failure either the old or the new file exists.
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk. Raise OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():  # Windows cannot open folders, and flushes entries itself
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path, max_bytes: int | None = None) -> str:
    """Return the SHA-256 of a file in hex. `max_bytes` accepts only a regular file up to that size. Raise OSError."""
    with path.open("rb") if max_bytes is None else open_file(path, max_bytes) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and digests of all files in a folder. Raise OSError."""
    if not path.is_dir():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{sha256(file)} {file.relative_to(path).as_posix()}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
