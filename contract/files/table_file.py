"""A file of a table, whatever its kind and dialect, read in batches of columns."""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from contract.files.dialects import FIND_ALL, Dialect, FoundDialect, find_dialect
from contract.files.encodings import Opener
from contract.files.errors import TableError
from contract.files.parts import Part, find_parts, signature
from contract.files.sheets import read_sheet

_BLOCK: Final = 16 << 20
_ROWS: Final = 65_536
_ERRORS: Final = (pa.ArrowException, OSError, EOFError, UnicodeError, csv.Error)


@dataclass(frozen=True)
class TableFile:
    """A file or folder. Raises TableError that names it wherever it cannot be read."""

    path: Path
    dialect: Dialect = FIND_ALL

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns, each once."""
        try:
            first, *others = self._parts
            names = list(_names_of(first, self._key))
            for other in others:
                if sorted(found := _names_of(other, self._key)) != sorted(names):
                    different = sorted({*found} ^ {*names})
                    raise TableError(f"{other[1]} has other columns than {first[1]}: {', '.join(different[:8])}")
        except TableError as error:
            raise TableError(f"{self.path}: {error}") from error
        except _ERRORS as error:
            raise TableError(explain(self.path, error)) from error
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TableError(f"{self.path}: column {twice[0]} appears twice")
        return names

    @property
    def notes(self) -> list[str]:
        """What was found about the file that is not usual, in sentences for the user."""
        self.names  # noqa: B018  raises TableError
        found: dict[str, list[str]] = {}
        for part in self._parts:
            if part[0] == "csv":
                found.setdefault("; ".join(_found(part, self._key).notes()), []).append(part[1])
            elif part[0] == "sheet":
                found.setdefault("; ".join(_sheet(part, self._key)[1]), []).append(part[1])
        more = f" ({len(self._parts)} files)" if len(self._parts) > 1 else ""
        return [f"{self.path.name}{more}: {note}" for note in found if note]

    @property
    def has_nulls(self) -> bool:
        """Whether empty cells are null in the file itself, so that a text such as nan is a text."""
        return all(part[0] == "parquet" for part in self._parts)

    def batches(
        self, wanted: Sequence[str] | None = None, nulls: Sequence[str] = (), *, newlines: bool = True
    ) -> Iterator[pa.RecordBatch]:
        """Yield columns, all by default, in the order of `names`; those of CSV as text, where `nulls` are null.

        `newlines`: whether texts may contain line breaks.
        """
        names = [name for name in self.names if wanted is None or name in wanted]
        for part in self._parts:
            try:
                for batch in _batches_of(part, self._key, names, nulls, newlines):
                    yield batch.select(names)
            except _ERRORS as error:
                raise TableError(explain(self.path, error)) from error

    @property
    def _parts(self) -> list[Part]:
        return _parts(self._key)

    @cached_property
    def _key(self) -> tuple[Path, Dialect, Any]:
        try:
            return self.path, self.dialect, signature(self.path)
        except OSError:
            return self.path, self.dialect, None


_Key = tuple[Path, Dialect, Any]


@lru_cache(maxsize=64)
def _parts(key: _Key) -> list[Part]:
    return find_parts(key[0], key[1])


@lru_cache(maxsize=256)
def _found_of(name: str, key: _Key) -> FoundDialect:
    part = next(part for part in _parts(key) if part[1] == name)
    return find_dialect(part[2], key[1])


def _found(part: Part, key: _Key) -> FoundDialect:
    return _found_of(part[1], key)


@lru_cache(maxsize=4)
def _sheet_of(path: Path, key: _Key) -> tuple[pa.Table, list[str]]:
    return read_sheet(path, key[1])


def _sheet(part: Part, key: _Key) -> tuple[pa.Table, list[str]]:
    return _sheet_of(part[2], key)


def _names_of(part: Part, key: _Key) -> Sequence[str]:
    kind, _, opener = part
    if kind == "parquet":
        with opener() as file, pq.ParquetFile(file) as table:
            return list(table.schema_arrow.names)
    return list(_sheet(part, key)[0].column_names) if kind == "sheet" else _found(part, key).names


def _batches_of(
    part: Part, key: _Key, names: Sequence[str], nulls: Sequence[str], newlines: bool
) -> Iterator[pa.RecordBatch]:
    kind, _, opener = part
    if kind == "parquet":
        with opener() as file, pq.ParquetFile(file) as table:
            yield from table.iter_batches(_ROWS, columns=list(names))
    elif kind == "sheet":
        yield from _sheet(part, key)[0].to_batches(_ROWS)
    else:
        found = _found(part, key)
        read = _spaced_batches if found.spaced else _csv_batches
        yield from read(opener, found, names, nulls, newlines)


def _csv_batches(
    opener: Opener, found: FoundDialect, names: Sequence[str], nulls: Sequence[str], newlines: bool
) -> Iterator[pa.RecordBatch]:
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=list(names),
        null_values=list(nulls),
        strings_can_be_null=True,
    )
    read = pa_csv.ReadOptions(
        block_size=_BLOCK, use_threads=False, skip_rows=found.header_end, column_names=list(found.names),
        encoding="utf-8" if found.encoding.startswith("utf-8") else found.encoding,
    )  # fmt: skip
    parse = pa_csv.ParseOptions(delimiter=found.separator, quote_char=found.quote or False, newlines_in_values=newlines)
    with (
        opener() as file,
        pa_csv.open_csv(file, read_options=read, convert_options=options, parse_options=parse) as reader,
    ):
        yield from reader


def _spaced_batches(
    opener: Opener, found: FoundDialect, names: Sequence[str], nulls: Sequence[str], newlines: bool
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file with spaces between separators and quotes, which Arrow does not read."""
    absent = frozenset(nulls)
    with opener() as file, io.TextIOWrapper(file, found.encoding, newline="") as text:
        for _ in range(found.header_end):
            text.readline()
        reader = csv.reader(text, delimiter=found.separator, quotechar=found.quote or None, skipinitialspace=True)
        before, width = 0, len(found.names)
        while rows := list(itertools.islice((row for row in reader if row), _ROWS)):
            for number, row in enumerate(rows, before + 1):
                if len(row) != width:
                    raise TableError(f"row {number} has {len(row)} cells, the header has {width}")
            before += len(rows)
            columns = dict(zip(found.names, zip(*rows, strict=True), strict=True))
            arrays = [
                pa.array([None if cell in absent else cell for cell in columns[name]], pa.string()) for name in names
            ]
            yield pa.RecordBatch.from_arrays(arrays, list(names))


def explain(path: Path, error: Exception) -> str:
    """Return an error of Arrow or of the system in our words."""
    text = str(error)
    if broken := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text):
        row, wanted, actual = (int(group) for group in broken.groups())
        return f"{path}: row {row - 1} has {actual} cells, the header has {wanted}"
    if broken := re.search(r"Expected (\d+) columns, got (\d+): (.*)", text):
        return f"{path}: a row has {broken[2]} cells, the header has {broken[1]}: {broken[3][:80]}"
    return f"{path}: {text.splitlines()[0] if text else type(error).__name__}"
