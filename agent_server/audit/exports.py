"""Exports of the ledger as Parquet or JSON lines: all entries with payloads, and the head. They verify alone."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from agent_server.audit.verify import CHUNK, ChainHead
from runtime.process.files import OutputError, atomic_write

COLUMNS: Final = pa.schema(
    [
        ("sequence", pa.int64()), ("kind", pa.int16()), ("entry_id", pa.string()), ("at", pa.int64()),
        ("decision", pa.int16()), ("facts", pa.binary()), ("commitment", pa.binary()), ("hash", pa.binary()),
        ("kept", pa.int64()), ("transaction_id", pa.string()), ("user_id", pa.string()),
        ("content_digest", pa.binary()), ("salt", pa.binary()), ("payload", pa.binary()),
    ]
)  # fmt: skip
_END = "vouch_ledger_end"


class ExportError(ValueError):
    """The file is not an export. The message names it."""


def write_export(path: Path, rows: Iterator[Any], head: ChainHead | None) -> int:
    """Write all entries; return their number. Raises OutputError."""
    if path.suffix not in (".parquet", ".jsonl"):
        raise OutputError(f"{path}: the name must end in .parquet or .jsonl")
    with atomic_write(path) as partial:
        return (_write_parquet if path.suffix == ".parquet" else _write_lines)(partial, rows, head)


def read_export(path: Path) -> tuple[Iterator[Any], ChainHead | None]:
    """Return the entries of an export, and its head. Raises ExportError."""
    try:
        if path.suffix == ".parquet":
            stated = (pq.read_schema(path).metadata or {}).get(_END.encode())
            return _rows_of_parquet(path), _parse_head(json.loads(stated)) if stated else None
        with path.open() as file:
            return _rows_of_lines(path), _parse_head(json.loads(file.readline())[_END])
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is not an export of a ledger: {type(error).__name__}") from error


def _head_to_json(head: ChainHead | None) -> dict[str, Any] | None:
    if head is None:
        return None
    values = {"sequence": head.sequence, "hash": _base64(head.hash), "signature": _base64(head.signature)}
    return values | {"rows_number": head.rows_number, "rows_hash": _base64(head.rows_hash)}


def _parse_head(values: dict[str, Any] | None) -> ChainHead | None:
    if values is None:
        return None
    rows = (values["rows_number"], base64.b64decode(values["rows_hash"])) if "rows_hash" in values else ()
    return ChainHead(values["sequence"], base64.b64decode(values["hash"]), base64.b64decode(values["signature"]), *rows)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _write_parquet(path: Path, rows: Iterator[Any], head: ChainHead | None) -> int:
    schema = COLUMNS.with_metadata({_END: json.dumps(_head_to_json(head))})
    number = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while chunk := [tuple(row) for _, row in zip(range(CHUNK), rows, strict=False)]:
            columns = list(zip(*chunk, strict=True))
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            number += len(chunk)
    return number


def _rows_of_parquet(path: Path) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(CHUNK, columns=COLUMNS.names):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_lines(path: Path, rows: Iterator[Any], head: ChainHead | None) -> int:
    number = 0
    with path.open("w") as file:
        file.write(json.dumps({_END: _head_to_json(head)}) + "\n")
        for row in rows:
            values = {
                name: _base64(value) if isinstance(value, bytes) else value
                for name, value in zip(COLUMNS.names, row, strict=True)
            }
            file.write(json.dumps(values) + "\n")
            number += 1
    return number


def _rows_of_lines(path: Path) -> Iterator[Any]:
    binary = {field.name for field in COLUMNS if pa.types.is_binary(field.type)}
    with path.open() as file:
        file.readline()
        for line in file:
            try:
                values = json.loads(line)
                yield tuple(
                    base64.b64decode(values[name]) if name in binary and values[name] is not None else values[name]
                    for name in COLUMNS.names
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ExportError(f"{path} has an invalid line: {type(error).__name__}") from error
