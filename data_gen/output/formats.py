"""File formats: CSV and Parquet, selected by the ending of the name.

A format has two halves. `encode` turns a batch into bytes, in the process that made the batch; `append` adds them to
the file in order, in the one process that writes. CSV is encoded and compressed by the workers, since members of gzip
and frames of zstd can be concatenated. Parquet has its index at the end, so the writer has to encode it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from runtime.process.files import OutputError


class Format(Protocol):
    """Encoding of batches of one schema as the bytes of a file."""

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer:
        """Return a batch as bytes for `append`; may run in another process."""

    def open(self, path: str, schema: pa.Schema) -> None:
        """Create the file."""

    def append(self, encoded: pa.Buffer) -> None:
        """Add an encoded batch."""

    def close(self) -> None:
        """Finish the file."""


class CsvFormat:
    """CSV in UTF-8 with a header; times as `YYYY-MM-DD HH:MM:SS`, absent values empty, text in quotes."""

    def __init__(self, codec: str | None) -> None:
        self._codec = codec
        self._file: Any = None

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer:
        """See Format."""
        return self._render(batch.cast(_plain(batch.schema)), header=False)

    def open(self, path: str, schema: pa.Schema) -> None:
        """See Format."""
        self._file = pa.OSFile(path, "wb")
        plain = _plain(schema)
        empty = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in plain], schema=plain)
        self.append(self._render(empty, header=True))

    def append(self, encoded: pa.Buffer) -> None:
        """See Format."""
        self._file.write(encoded)

    def close(self) -> None:
        """See Format."""
        self._file.close()

    def _render(self, batch: pa.RecordBatch, *, header: bool) -> pa.Buffer:
        target = pa.BufferOutputStream()
        stream = pa.CompressedOutputStream(target, self._codec) if self._codec else target
        options = pa_csv.WriteOptions(include_header=header, quoting_style="needed", quoting_header="none")
        pa_csv.write_csv(batch, stream, options)
        if self._codec:
            stream.close()
        return target.getvalue()


class ParquetFormat:
    """Parquet with zstd and one row group for each chunk; repeated text as dictionaries."""

    def __init__(self) -> None:
        self._writer: Any = None

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer:
        """See Format: an Arrow stream, which the writer reads without copying."""
        target = pa.BufferOutputStream()
        with pa.ipc.new_stream(target, batch.schema) as stream:
            stream.write_batch(batch)
        return target.getvalue()

    def open(self, path: str, schema: pa.Schema) -> None:
        """See Format."""
        # Identifiers are unique: a dictionary of them would only cost time and space.
        repeating = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeating, store_schema=False)

    def append(self, encoded: pa.Buffer) -> None:
        """See Format."""
        with pa.ipc.open_stream(encoded) as stream:
            for batch in stream:
                self._writer.write_batch(batch)

    def close(self) -> None:
        """See Format."""
        self._writer.close()


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema with plain text instead of dictionary-encoded text."""
    return pa.schema([f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema])


FORMATS: Final[Mapping[str, Callable[[], Format]]] = {
    ".csv": lambda: CsvFormat(None),
    ".csv.gz": lambda: CsvFormat("gzip"),
    ".csv.zst": lambda: CsvFormat("zstd"),
    ".parquet": ParquetFormat,
}
"""Formats by the ending of a file's name."""


def format_of(path: Path) -> Format:
    """Return the format for a file's name; raise OutputError if there is none."""
    for ending, create in FORMATS.items():
        if path.name.endswith(ending):
            return create()
    raise OutputError(f"{path}: the name must end in one of {', '.join(FORMATS)}")
