"""Commitments to rows that are not entries of the chain: cases, their events, and outcomes.

Verdicts and labels depend on these rows, which may change. So each transaction appends one link to a second chain. The
link holds the commitments to all rows that the transaction wrote, and to all rows that it replaced or removed.

    commitment = SHA-256(salt | table | columns that differ from their defaults, as JSON)
    hash = SHA-256(hash before | number | content)

A row gets a new salt whenever it changes, so that an old commitment reveals nothing that was erased.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.ledger.chain import SALT_BYTES
from generated.vouch.v1.ledger_entry_pb2 import RowChanges

SALT: Final = "salt"
_BATCH_SIZE: Final = 1000
_NUMBER = struct.Struct(">q")
Row = Mapping[str, Any] | sa.RowMapping
_Key = tuple[sa.Table, tuple[Any, ...]]
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
_WrittenColumn = tuple[str, Callable[[Any], Any], Any]


def row_commitment(table: sa.Table, row: Row) -> bytes:
    """Return the commitment to a row, 32 bytes. A column that is missing has its default."""
    values = {
        name: convert(value)
        for name, convert, default in _written_columns(table)
        if (value := row.get(name, default)) is not None and value != default
    }
    content = _ENCODE(values)
    return hashlib.sha256(b"%b%b\0%b" % (row[SALT], table.name.encode(), content.encode())).digest()


def link_hash(before: bytes, number: int, content: bytes) -> bytes:
    """Return the hash of a link, 32 bytes, given the hash of the link before it."""
    return hashlib.sha256(b"".join((before, _NUMBER.pack(number), content))).digest()


class ProtectedRows:
    """The rows of protected tables that one transaction inserts, changes and removes."""

    def __init__(self) -> None:
        self._before: dict[_Key, bytes | None] = {}
        self._inserted: dict[_Key, Mapping[str, Any]] = {}

    def insert(self, table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
        """Register a new row; return it with a salt."""
        salted = {**row, SALT: os.urandom(SALT_BYTES)}
        key = _key(table, salted)
        if key in self._before:
            self._inserted.pop(key, None)  # removed earlier, or present already: only the final row counts
        else:
            self._before[key], self._inserted[key] = None, salted
        return salted

    def change(
        self, connection: Connection, statement: sa.Update | sa.Delete, parameters: Mapping[str, Any] | None
    ) -> sa.Update | sa.Delete:
        """Register the rows that a statement will change or remove; return it with a new salt for changed rows."""
        table = statement.table
        assert isinstance(table, sa.Table)
        chosen = sa.select(table)
        if statement.whereclause is not None:
            chosen = chosen.where(statement.whereclause)
        for row in connection.execute(chosen, parameters).mappings():
            key = _key(table, row)
            if key not in self._before:
                self._before[key] = row_commitment(table, row)
            self._inserted.pop(key, None)
        return statement.values({SALT: os.urandom(SALT_BYTES)}) if isinstance(statement, sa.Update) else statement

    def content(self, connection: Connection) -> bytes:
        """Return the content of the link; empty if nothing was written. All rows have to be in the database already."""
        if not self._before:
            return b""
        added = [row_commitment(table, row) for (table, _), row in self._inserted.items()]
        changed: dict[sa.Table, list[tuple[Any, ...]]] = {}
        for table, key in self._before.keys() - self._inserted.keys():
            changed.setdefault(table, []).append(key)
        for table, keys in changed.items():
            added += [row_commitment(table, row) for row in _read(connection, table, keys)]
        removed = [before for before in self._before.values() if before is not None]
        return RowChanges(added=sorted(added), removed=sorted(removed)).SerializeToString()


def protected_rows(connection: Connection, table: sa.Table) -> Iterator[sa.RowMapping]:
    """Yield all rows of a table in the order of its key, in constant memory."""
    key = sa.tuple_(*table.primary_key)
    ordered, last = sa.select(table).order_by(*table.primary_key).limit(_BATCH_SIZE), None
    while True:
        rows = connection.execute(ordered if last is None else ordered.where(key > last)).mappings().all()
        yield from rows
        if len(rows) < _BATCH_SIZE:
            return
        last = sa.tuple_(*(sa.literal(rows[-1][column.name]) for column in table.primary_key))


def _read(connection: Connection, table: sa.Table, keys: Iterable[tuple[Any, ...]]) -> Iterator[sa.RowMapping]:
    """Yield the rows of a table that exist."""
    following = iter(keys)
    while batch := list(islice(following, _BATCH_SIZE)):
        yield from connection.execute(
            sa.select(table).where(sa.tuple_(*table.primary_key).in_(batch))
        ).mappings()  # fmt: skip


def is_protected(table: Any) -> bool:
    """Return whether the chain commits to the rows of a table."""
    return isinstance(table, sa.Table) and "protected" in table.info


def _key(table: sa.Table, row: Row) -> _Key:
    return table, tuple([row[name] for name in _key_columns(table)])


@cache
def _key_columns(table: sa.Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _float(value: Any) -> float:
    return float(value) + 0.0  # SQLite does not store the sign of a zero


@cache
def _written_columns(table: sa.Table) -> list[_WrittenColumn]:
    """Return each column of a table but the salt, by name, with its conversion and its default."""
    columns = sorted(table.columns, key=lambda column: column.name)
    return [_written_column(column) for column in columns if column.name != SALT]


def _written_column(column: sa.Column[Any]) -> _WrittenColumn:
    converts: dict[type, Callable[[Any], Any]] = {bool: bool, int: int, float: _float, str: str}
    default = column.default.arg if isinstance(column.default, sa.ColumnDefault) else None
    return column.name, converts[column.type.python_type], default
