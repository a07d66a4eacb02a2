"""The parts of a file: itself, the members of an archive, the files of a folder. The content says of which kind they are."""

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import pyarrow as pa

from contract.files.dialects import Dialect
from contract.files.encodings import Opener
from contract.files.errors import TableError

_COMPRESSED: Final = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bz2"))
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"
_ZIP: Final = b"PK\x03\x04"
_MAX_LISTED: Final = 5
Part = tuple[str, str, Any]
"""Kind (`csv`, `parquet` or `sheet`), name for messages, and what opens it: an Opener, or the path of a workbook."""


def find_parts(path: Path, dialect: Dialect) -> list[Part]:
    """Return the parts of a file or folder. Raises TableError if there are none."""
    if not path.exists():
        raise TableError("there is no such file")
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(path)))
        if not files:
            raise TableError("the folder has no files")
        return [part for file in files for part in _parts_of_file(file, dialect)]
    return _parts_of_file(path, dialect)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts) or path.name.endswith(".json")


def _parts_of_file(path: Path, dialect: Dialect) -> list[Part]:
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_OLD_WORKBOOK):
        return [("sheet", path.name, path)]
    if start.startswith(_ZIP) or path.suffix == ".zip":
        return _parts_of_archive(path, dialect)
    return [_part(path.name, start, partial(_open_file, path))]


def _part(name: str, start: bytes, opener: Opener) -> Part:
    if start.startswith(b"PAR1") or name.endswith(".parquet"):
        return "parquet", name, opener
    return "csv", name, partial(_open_decompressed, opener)


def _open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def _open_decompressed(opener: Opener) -> BinaryIO:
    """Return the stream of a file, decompressed if it is compressed."""
    file = opener()
    start = file.read(4)
    file.close()
    kind = next((kind for magic, kind in _COMPRESSED if start.startswith(magic)), None)
    if kind is None:
        return opener()
    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(opener(), "r"), kind))


def _parts_of_archive(path: Path, dialect: Dialect) -> list[Part]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except zipfile.BadZipFile as error:
        raise TableError(str(error)) from error
    if any(name.startswith(("xl/", "content.xml")) for name in names):
        return [("sheet", path.name, path)]
    wanted = [name for name in names if not _is_hidden(Path(name)) and not name.startswith("__MACOSX")]
    if dialect.member is not None:
        wanted = [name for name in names if name == dialect.member]
    if not wanted:
        listed = ", ".join(names[:_MAX_LISTED]) or "nothing"
        raise TableError(f"the archive has no file {dialect.member or 'of orders'}; it has {listed}")
    parts = []
    for name in wanted:
        opener: Callable[[], BinaryIO] = partial(_open_member, path, name)
        with opener() as member:
            start = member.read(8)
        if start.startswith(_ZIP):
            raise TableError(f"{name} in the archive is an archive or a workbook itself; unpack it")
        parts.append(_part(name, start, opener))
    return parts


class _Member(io.BufferedReader):
    """A file in an archive, which closes the archive with it."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        super().__init__(cast(io.RawIOBase, archive.open(name)))
        self._archive = archive

    def close(self) -> None:
        super().close()
        self._archive.close()


def _open_member(path: Path, name: str) -> BinaryIO:
    return _Member(zipfile.ZipFile(path), name)


def signature(path: Path) -> tuple[Any, ...]:
    """Return what changes if a file or folder changes: sizes and times."""
    files: Iterator[Path] = path.rglob("*") if path.is_dir() else iter([path])
    return tuple((str(file), status.st_size, status.st_mtime_ns) for file in files for status in [os.stat(file)])
