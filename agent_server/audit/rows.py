"""Compares the rows of cases, case events and outcomes with the commitments that were written with them."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from google.protobuf.message import DecodeError
from sqlalchemy.engine import Connection

from agent_server.ledger.chain import GENESIS
from agent_server.ledger.protected_rows import SALT, link_hash, protected_rows, row_commitment
from agent_server.ledger.schema import ROW_CHANGES
from agent_server.tables import PROTECTED
from generated.vouch.v1.ledger_entry_pb2 import RowChanges

_AT_ONCE = 1000


@dataclass(frozen=True)
class RowsResult:
    """The result: the number of valid rows, the hash of the requested link, and what is wrong; empty for nothing."""

    rows: int = 0
    requested: bytes = b""
    broken: str = ""


def verify_rows(connection: Connection, number: int, head: bytes, requested: int = 0) -> RowsResult:
    """Compute the chain of row changes up to its stated head, and the commitment to every row, anew.

    It keeps the commitments to all rows in memory: about 200 bytes a row. `requested` is the link whose hash is returned.
    """
    live: dict[bytes, int] = {}
    before, last, requested_hash = GENESIS, 0, GENESIS if requested == 0 else b""
    while True:
        following = sa.select(ROW_CHANGES).where(ROW_CHANGES.c.number > last).order_by(ROW_CHANGES.c.number)
        links = connection.execute(following.limit(_AT_ONCE)).all()
        for link in links:
            broken = _apply_link(live, before, last + 1, link)
            if broken:
                return RowsResult(broken=broken)
            before, last = link.hash, link.number
            if last == requested:
                requested_hash = before
        if len(links) < _AT_ONCE:
            break
    if (last, before) != (number, head):
        return RowsResult(broken=f"row change {min(last, number) + 1} is missing, or was not written by the ledger")
    rows, broken = _compare_rows(connection, live)
    return RowsResult(rows, requested_hash, broken)


def _apply_link(live: dict[bytes, int], before: bytes, expected: int, link: Any) -> str:
    """Apply a link to the current commitments; return what is wrong with it, empty for nothing."""
    if link.number != expected:
        return f"row change {expected} is missing: after {expected - 1} comes {link.number}"
    changed = f"row change {expected} was changed, or is not the one that was written there"
    try:
        if link_hash(before, link.number, link.content) != link.hash:
            return changed
        changes = RowChanges.FromString(link.content)
    except (DecodeError, TypeError):  # SQLite stores values of any type in any column
        return changed
    for commitment in changes.removed:
        if live.pop(commitment, None) is None:
            return f"row change {expected} replaces a row that nobody wrote: it was changed before"
    live.update(dict.fromkeys(changes.added, expected))
    return ""


def _compare_rows(connection: Connection, live: dict[bytes, int]) -> tuple[int, str]:
    """Remove the rows that exist from the current commitments; return their number, and what is wrong."""
    number = 0
    for table in PROTECTED:
        for row in protected_rows(connection, table):
            if not isinstance(row[SALT], bytes) or live.pop(_compute_commitment(table, row), None) is None:
                name = " ".join(str(row[column.name]) for column in table.primary_key)
                return number, f"{table.name}: the row {name} was changed, or is not one that the ledger wrote"
            number += 1
    if live:
        lost = min(live.values())
        return number, f"row change {lost}: a row of cases, case_events or outcomes that it wrote is missing"
    return number, ""


def _compute_commitment(table: sa.Table, row: Any) -> bytes:
    try:
        return row_commitment(table, row)
    except (TypeError, ValueError, OverflowError):
        return b""
