"""Files that are complete or not there at all, and their digests."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


class OutputError(Exception):
    """The file cannot be written; the message says which and why."""


@contextlib.contextmanager
def complete_or_nothing(path: Path) -> Iterator[Path]:
    """A path to write to; it becomes `path` only when the block ends well, and else is removed. Raises OutputError."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"{path}: this is a folder")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
