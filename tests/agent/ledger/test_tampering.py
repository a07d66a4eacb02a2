"""Tampering with any column of any table is found by `vouch audit verify`, or listed as unprotected, with a reason."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agent_server.audit.coverage import NOT_PROTECTED
from agent_server.audit.signing import read_public, signature_fits
from agent_server.audit.verify import verify_ledger
from agent_server.database.engine import writing
from agent_server.ledger import open_engine
from agent_server.tables import METADATA
from testing.ledger.whole_ledger import verified_ledger

DOCS = Path(__file__).parents[3] / "docs" / "explanation" / "ledger.md"


def _other(value: Any, column: sa.Column[Any]) -> list[Any]:
    """Return other values that an edit may leave in a column."""
    empty: list[Any] = [None] if column.nullable and value is not None else []
    if isinstance(value, bytes):
        return [bytes([value[0] ^ 1, *value[1:]]) if value else b"x", b"" if value else b"y", "text"]
    if isinstance(value, str):
        return [value + "x", *([""] if value else [])]
    if isinstance(column.type, sa.Boolean):
        return [not value]
    if value is None:
        return ["x"] if isinstance(column.type, sa.String) else [1, 0]
    return [value + 1, "text", *empty] if not column.primary_key else [value + 1_000_000]


def _edits(connection: sqlite3.Connection) -> Iterator[tuple[str, str, tuple[Any, ...], bool]]:
    """Yield every edit of one row of each table: name, statement, values, and whether it must be found."""
    for name, table in METADATA.tables.items():
        found = name not in NOT_PROTECTED
        columns = list(table.columns)
        keys = " AND ".join(f'"{column.name}" IS ?' for column in table.primary_key)
        listed = ", ".join(f'"{column.name}"' for column in columns)
        rows = connection.execute(f"SELECT {listed} FROM {name}").fetchall()
        assert rows, f"the ledger of this test has no row in {name}"
        row = dict(zip(table.columns.keys(), rows[len(rows) // 2], strict=True))
        where = tuple(row[column.name] for column in table.primary_key)
        for column in columns:
            if name == "head" and column.name == "id":
                continue  # nothing reads the number of the only row
            with_value = next((dict(zip(row, one, strict=True)) for one in rows if one[columns.index(column)]), row)
            here = tuple(with_value[part.name] for part in table.primary_key)
            for value in _other(with_value[column.name], column):
                statement = f'UPDATE {name} SET "{column.name}" = ? WHERE {keys}'
                yield f"update {name}.{column.name} to {value!r:.20}", statement, (value, *here), found
        yield f"delete from {name}", f"DELETE FROM {name} WHERE {keys}", where, found
        if len(rows) > 1:
            yield f"delete all of {name}", f"DELETE FROM {name}", (), found
        if name != "head":
            changed = [_inserted(row[column.name], column) for column in columns]
            places = ", ".join("?" for _ in columns)
            yield f"insert into {name}", f"INSERT INTO {name} ({listed}) VALUES ({places})", tuple(changed), found


def _inserted(value: Any, column: sa.Column[Any]) -> Any:
    if not (column.primary_key or column.unique):
        return value
    return value + 1_000_000 if isinstance(value, int) else f"{value[:-1]}~"


def test_every_edit_is_found_or_listed(signed_ledger: Path, tmp_path: Path) -> None:
    """Each changed column, each deleted or inserted row and each emptied table is found, unless the table is listed as
    unprotected.

    A new table or column that is neither fails here.
    """
    assert {*METADATA.tables, "alembic_version"} >= set(NOT_PROTECTED), "a listed table is none of the ledger's"
    assert not verified_ledger(signed_ledger / "ledger.db", signed_ledger / "key.pem").broken
    with closing(sqlite3.connect(signed_ledger / "ledger.db")) as file:
        edits = list(_edits(file))
    shutil.copyfile(signed_ledger / "ledger.db", tmp_path / "copy.db")
    public, wrong = read_public(signed_ledger / "key.pem"), list[str]()
    engine = open_engine(f"sqlite:///{tmp_path / 'copy.db'}")
    for name, statement, values, must in edits:
        with writing(engine) as connection:
            assert connection.exec_driver_sql(statement, values).rowcount, name
            verified = verify_ledger(connection, lambda signature, end: signature_fits(public, signature, end))
            connection.rollback()
        if bool(verified.broken) is not must:
            wrong.append(f"{'missed' if must else 'found, but listed as not protected'}: {name}")
    engine.dispose()
    assert wrong == []
    assert len(edits) > 150


def test_the_page_lists_what_is_not_protected() -> None:
    """docs/explanation/ledger.md names every table that verification does not cover, with the same reason."""
    page = " ".join(DOCS.read_text().split())
    assert [f"`{name}`: {reason}" for name, reason in NOT_PROTECTED.items() if f"`{name}`: {reason}" not in page] == []
