"""Copies a table and swaps names in SQLite. Names of indexes are unique in a file, and no statement renames one.

Views and triggers of users name tables in their text, and mean the new table after the swap. By default a rename would
change that text to name the old table, which is then dropped.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.privacy.rewriting import new_table, old_table, trigger_actions

_OBJECTS = "SELECT name, sql FROM sqlite_master WHERE type = :type AND tbl_name = :table AND sql IS NOT NULL"
_EVENTS = ("insert", "update", "delete")


class SqliteDialect:
    """See Dialect."""

    def begin_copy(self, connection: Connection, table: sa.Table) -> None:
        """See Dialect."""
        new = new_table(table).name
        (_, definition), *_ = _objects(connection, "table", table.name)
        connection.exec_driver_sql(f'CREATE TABLE "{new}" {definition[definition.index("(") :]}')
        for name, definition in _objects(connection, "index", table.name):
            unique = "UNIQUE " if definition.upper().startswith("CREATE UNIQUE") else ""
            connection.exec_driver_sql(
                f'CREATE {unique}INDEX "{_prefixed("rewrite", name)}" ON "{new}" {definition[definition.index("(") :]}'
            )
        insert, delete = trigger_actions(table, "INSERT OR REPLACE")
        for event, action in zip(_EVENTS, (insert, delete + insert, delete), strict=True):
            connection.exec_driver_sql(
                f'CREATE TRIGGER "{new}_{event}" AFTER {event.upper()} ON "{table.name}" BEGIN {action} END'
            )

    def insert_slice(self, target: sa.Table, rows: sa.Select[Any]) -> sa.Executable:
        """See Dialect."""
        names = [column.name for column in target.columns]
        return sa.insert(target).prefix_with("OR IGNORE").from_select(names, rows, include_defaults=False)

    def analyse(self, connection: Connection, table: sa.Table) -> None:
        """See Dialect. SQLite has no statistics."""

    def swap(self, connection: Connection, table: sa.Table) -> None:
        """See Dialect."""
        new, old = new_table(table).name, old_table(table).name
        _drop_triggers(connection, new)
        others = _objects(connection, "trigger", table.name)
        for name, _ in others:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        with _texts_unchanged(connection):
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" RENAME TO "{old}"')
            connection.exec_driver_sql(f'ALTER TABLE "{new}" RENAME TO "{table.name}"')
        for _, definition in others:
            connection.exec_driver_sql(definition)
        connection.exec_driver_sql("PRAGMA writable_schema = ON")
        for name, _ in _objects(connection, "index", old):
            _rename_index(connection, name, _prefixed("rewritten", name))
        for name, _ in _objects(connection, "index", table.name):
            _rename_index(connection, name, name.removeprefix("rewrite_"))
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")

    def leftovers(self, connection: Connection, table: sa.Table) -> list[sa.Table]:
        """See Dialect."""
        _drop_triggers(connection, new_table(table).name)
        return [one for one in (new_table(table), old_table(table)) if _objects(connection, "table", one.name)]


def _objects(connection: Connection, kind: str, table: str) -> list[tuple[str, str]]:
    rows = connection.execute(sa.text(_OBJECTS), {"type": kind, "table": table})
    return [(row.name, row.sql) for row in rows]


@contextmanager
def _texts_unchanged(connection: Connection) -> Iterator[None]:
    """Let renames leave the texts of views and triggers unchanged, and not fail because of a broken one."""
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")


def _prefixed(mark: str, name: str) -> str:
    return f"{mark}_{name}"


def _drop_triggers(connection: Connection, new: str) -> None:
    for event in _EVENTS:
        connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{new}_{event}"')


def _rename_index(connection: Connection, name: str, to: str) -> None:
    """Change the name in the schema, and in the statement that defines it: only names precede its first parenthesis."""
    row = connection.execute(
        sa.text("SELECT sql, tbl_name FROM sqlite_master WHERE type = 'index' AND name = :name"), {"name": name}
    ).one()
    unique = "UNIQUE " if row.sql.upper().startswith("CREATE UNIQUE") else ""
    definition = f'CREATE {unique}INDEX "{to}" ON "{row.tbl_name}" {row.sql[row.sql.index("(") :]}'
    connection.execute(
        sa.text("UPDATE sqlite_master SET name = :to, sql = :sql WHERE type = 'index' AND name = :name"),
        {"to": to, "sql": definition, "name": name},
    )
