"""Tampering by somebody with write access to the database, each with the number of the first entry that it breaks."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

_COLUMNS = {
    "entries": ("sequence", "kind", "entry_id", "at", "decision", "facts", "commitment", "hash"),
    "payloads": ("sequence", "transaction_id", "user_id", "content_digest", "salt", "payload"),
}
TAMPERINGS = (
    *(f"edit {table}.{column}" for table, columns in _COLUMNS.items() for column in columns),
    "delete an entry", "delete an order", "swap entries", "swap orders", "insert an entry", "cut the end",
    "cut the end and its head", "delete the head", "edit the head", "edit the signature",
)  # fmt: skip


def tamper_with(path: Path, name: str, chance: random.Random) -> int:
    """Tamper with a ledger's file and return the entry that verification must name."""
    with closing(sqlite3.connect(path)) as connection:
        wanted = _tamper(connection, name, chance)
        connection.commit()
    return wanted


def _tamper(connection: sqlite3.Connection, name: str, chance: random.Random) -> int:
    entries: list[int] = [row[0] for row in connection.execute("SELECT sequence FROM entries ORDER BY sequence")]
    orders: list[int] = [row[0] for row in connection.execute("SELECT sequence FROM payloads ORDER BY sequence")]
    last = entries[-1]
    if name.startswith("edit ") and "." in name:
        table, column = name.removeprefix("edit ").split(".")
        return _edit(connection, table, column, chance.choice(entries if table == "entries" else orders), last)
    if name == "delete an entry":
        chosen = chance.choice(entries)
        connection.execute("DELETE FROM entries WHERE sequence = ?", (chosen,))
        return chosen
    if name == "delete an order":
        chosen = chance.choice(orders)
        connection.execute("DELETE FROM payloads WHERE sequence = ?", (chosen,))
        return chosen
    if name.startswith("swap"):
        table, targets = ("entries", entries) if name == "swap entries" else ("payloads", orders)
        first, second = sorted(chance.sample(targets, 2))
        for before, after in ((first, -1), (second, first), (-1, second)):
            connection.execute(f"UPDATE {table} SET sequence = ? WHERE sequence = ?", (after, before))
        return first
    if name == "insert an entry":
        connection.execute(
            "INSERT INTO entries SELECT sequence + 1, kind, 'inserted', at, decision, facts, commitment, hash "
            "FROM entries WHERE sequence = ?",
            (last,),
        )
        return last + 1
    if name.startswith("cut the end"):
        chosen = chance.choice(entries[len(entries) // 2 :])
        connection.execute("DELETE FROM entries WHERE sequence >= ?", (chosen,))
        connection.execute("DELETE FROM payloads WHERE sequence >= ?", (chosen,))
        if name == "cut the end":
            return chosen
        connection.execute(
            "UPDATE head SET sequence = ?, hash = (SELECT hash FROM entries WHERE sequence = ?)",
            (chosen - 1, chosen - 1),
        )
        return _first_lost(connection, chosen)
    statement = {
        "delete the head": "DELETE FROM head",
        "edit the head": "UPDATE head SET sequence = sequence + 1",
        "edit the signature": "UPDATE head SET signature = zeroblob(64)",
    }[name]
    connection.execute(statement)
    return last if name == "edit the signature" else last + 1


def _first_lost(connection: sqlite3.Connection, chosen: int) -> int:
    """Remove the entry of an erasure: the orders that it erased are now missing, and the first of them is named."""
    query = (
        "SELECT min(e.sequence) FROM entries e LEFT JOIN payloads p ON p.sequence = e.sequence "
        "WHERE p.sequence IS NULL AND e.kind = 1 AND NOT EXISTS (SELECT 1 FROM entries x WHERE x.kind = 2)"
    )
    lost = connection.execute(query).fetchone()[0]
    return chosen - 1 if lost is None else int(lost)


def _edit(connection: sqlite3.Connection, table: str, column: str, chosen: int, last: int) -> int:
    value = connection.execute(f"SELECT {column} FROM {table} WHERE sequence = ?", (chosen,)).fetchone()[0]
    if isinstance(value, bytes):
        changed: object = bytes([value[0] ^ 1, *value[1:]]) if value else b"x"
    elif isinstance(value, str):
        changed = value + "x"
    else:
        changed = value + (10_000 if column == "sequence" else 1)
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE sequence = ?", (changed, chosen))
    return chosen
