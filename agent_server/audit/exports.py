"""Exports of the ledger as Parquet or JSON lines: all entries with payloads, and the head. They verify alone."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agent_server.audit.verify import ChainHead
from runtime.extras import needs_extra
from runtime.process.files import OutputError, atomic_write

_COLUMNS: Final = (
    "sequence", "kind", "entry_id", "at", "decision", "facts", "commitment", "hash", "kept", "transaction_id", "user_id",
    "content_digest", "salt", "payload",
)  # fmt: skip
_BINARY: Final = {"facts", "commitment", "hash", "content_digest", "salt", "payload"}
_END = "vouch_ledger_end"


class ExportError(ValueError):
    """The file is not an export. The message names it."""


def write_export(path: Path, rows: Iterator[Any], head: ChainHead | None) -> int:
    """Write all entries; return their number. Raises OutputError."""
    if path.suffix not in (".parquet", ".jsonl"):
        raise OutputError(f"{path}: the name must end in .parquet or .jsonl")
    with atomic_write(path) as partial:
        if path.suffix == ".jsonl":
            return _write_lines(partial, rows, _head_to_json(head))
        with needs_extra("an export as Parquet", "tables"):
            from agent_server.audit.parquet import write_parquet
        return write_parquet(partial, rows, _head_to_json(head))


def read_export(path: Path) -> tuple[Iterator[Any], ChainHead | None]:
    """Return the entries of an export, and its head. Raises ExportError."""
    try:
        if path.suffix == ".parquet":
            with needs_extra("an export as Parquet", "tables"):
                from agent_server.audit.parquet import read_parquet
            rows, head = read_parquet(path)
            return rows, _parse_head(head)
        with path.open() as file:
            return _rows_of_lines(path), _parse_head(json.loads(file.readline())[_END])
    except (OSError, ValueError, KeyError, TypeError) as error:
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


def _write_lines(path: Path, rows: Iterator[Any], head: dict[str, Any] | None) -> int:
    number = 0
    with path.open("w") as file:
        file.write(json.dumps({_END: head}) + "\n")
        for row in rows:
            values = {
                name: _base64(value) if isinstance(value, bytes) else value
                for name, value in zip(_COLUMNS, row, strict=True)
            }
            file.write(json.dumps(values) + "\n")
            number += 1
    return number


def _rows_of_lines(path: Path) -> Iterator[Any]:
    with path.open() as file:
        file.readline()
        for line in file:
            try:
                values = json.loads(line)
                yield tuple(
                    base64.b64decode(values[name]) if name in _BINARY and values[name] is not None else values[name]
                    for name in _COLUMNS
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ExportError(f"{path} has an invalid line: {type(error).__name__}") from error
