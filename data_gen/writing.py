"""Files: CSV and Parquet by the name's ending, complete or not there at all."""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".parquet")
_CODECS = {".gz": "gzip", ".zst": "zstd"}


class OutputError(Exception):
    """The file cannot be written; the message says which and why."""


class Sink(Protocol):
    """Takes batches in order."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append a batch."""

    def close(self) -> None:
        """Finish the file."""


class CsvSink:
    """CSV in UTF-8 with a header; times as `YYYY-MM-DD HH:MM:SS`, absent values empty."""

    def __init__(self, path: str, codec: str | None, schema: pa.Schema) -> None:
        raw = pa.OSFile(path, "wb")
        self._stream = pa.CompressedOutputStream(raw, codec) if codec else raw
        self._writer = pa_csv.CSVWriter(self._stream, schema, write_options=pa_csv.WriteOptions(quoting_style="needed"))
        self._schema = schema

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """See Sink."""
        self._writer.write_batch(batch.cast(self._schema))

    def close(self) -> None:
        """See Sink."""
        self._writer.close()
        self._stream.close()


def _parquet(path: str, schema: pa.Schema) -> Any:
    # Identifiers never repeat: a dictionary of them would only cost time and space.
    repeating = [
        f.name for f in schema if f.type == pa.string() and f.name not in ("transaction_id", "user_id", "device_id")
    ]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeating, store_schema=False)


def ending_of(path: Path) -> str:
    """The known ending of a file's name; raise OutputError when there is none."""
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if path.name.endswith(ending):
            return ending
    raise OutputError(f"{path}: the name must end in one of {', '.join(ENDINGS)}")


def open_sink(path: str, ending: str, schema: pa.Schema) -> Sink:
    """A sink for the format that `ending` stands for."""
    if ending == ".parquet":
        sink: Sink = _parquet(path, schema)
        return sink
    return CsvSink(path, _CODECS.get(ending.removeprefix(".csv")), schema)


@contextlib.contextmanager
def complete_or_nothing(path: Path) -> Iterator[Callable[[pa.Schema], Sink]]:
    """Give a function that opens a sink; move the file under its final name only when the block ends well."""
    ending = ending_of(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"{path}: this is a folder")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    opened: list[Sink] = []

    def open_once(schema: pa.Schema) -> Sink:
        opened.append(open_sink(str(partial), ending, schema))
        return opened[-1]

    try:
        yield open_once
        for sink in opened:
            sink.close()
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    finally:
        if sys.exc_info()[0] is not None:
            for sink in opened:
                with contextlib.suppress(Exception):
                    sink.close()
        partial.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
