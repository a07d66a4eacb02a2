"""Exports of the ledger as Parquet. Needs Arrow: the extra `tables`."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from agent_server.audit.verify import CHUNK

_SCHEMA: Final = pa.schema(
    [
        ("sequence", pa.int64()), ("kind", pa.int16()), ("entry_id", pa.string()), ("at", pa.int64()),
        ("decision", pa.int16()), ("facts", pa.binary()), ("commitment", pa.binary()), ("hash", pa.binary()),
        ("kept", pa.int64()), ("transaction_id", pa.string()), ("user_id", pa.string()),
        ("content_digest", pa.binary()), ("salt", pa.binary()), ("payload", pa.binary()),
    ]
)  # fmt: skip
_END: Final = "vouch_ledger_end"


def write_parquet(path: Path, rows: Iterator[Any], head: dict[str, Any] | None) -> int:
    """Write all entries, and the head as metadata of the file; return the number of entries."""
    schema = _SCHEMA.with_metadata({_END: json.dumps(head)})
    number = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while chunk := [tuple(row) for row in itertools.islice(rows, CHUNK)]:
            columns = zip(*chunk, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            number += len(chunk)
    return number


def read_parquet(path: Path) -> tuple[Iterator[Any], dict[str, Any] | None]:
    """Return the entries, and the head. Raises OSError or ValueError if the file is no export."""
    try:
        stated = (pq.read_schema(path).metadata or {}).get(_END.encode())
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    return _rows(path), json.loads(stated) if stated else None


def _rows(path: Path) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(CHUNK, columns=_SCHEMA.names):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
