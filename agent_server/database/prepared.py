"""Statements that are compiled once and passed to the driver unchanged.

To look up a compiled statement SQLAlchemy walks it, which takes a millisecond for a large one. While other threads
compete for the interpreter, that time delays the writer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_Compiled = tuple[str, tuple[str, ...] | None, Mapping[str, Any]]


class _CompiledStatement:
    """A statement's text and parameter order, by database."""

    def __init__(self, statement: Any, **options: Any) -> None:
        self._statement, self._options = statement, options
        self._known: dict[str, _Compiled] = {}

    def text(self, connection: Connection) -> str:
        """Return the statement's text."""
        return self._of(connection)[0]

    def parameters(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Return its values in the driver's order. Values that are not given are the statement's own."""
        _, order, own = self._of(connection)
        if order is None:
            return {name: values.get(name, default) for name, default in own.items()}
        return tuple([values[name] if name in values else own[name] for name in order])

    def _of(self, connection: Connection) -> _Compiled:
        known = self._known.get(connection.dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=connection.dialect, **self._options)
            order = tuple(compiled.positiontup) if compiled.positional else None
            known = self._known[connection.dialect.name] = (str(compiled), order, compiled.params)
        return known


class Prepared:
    """A statement that returns one row, and of which only values change. Types are those of the driver."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._compiled = _CompiledStatement(statement)
        self._names = [column.name for column in statement.selected_columns]

    def __call__(self, connection: Connection, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row, by column name."""
        text, parameters = self._compiled.text(connection), self._compiled.parameters(connection, values)
        row = _run_on_driver(connection, text, lambda driver: driver.execute(text, parameters).fetchone())
        return dict(zip(self._names, row, strict=True))


class PreparedInsert:
    """An insert into a table without defaults. All rows name the same columns."""

    def __init__(self, table: sa.Table, columns: Sequence[str]) -> None:
        self._compiled = _CompiledStatement(table.insert().inline(), column_keys=list(columns))

    def __call__(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert rows."""
        text = self._compiled.text(connection)
        parameters = [self._compiled.parameters(connection, row) for row in rows]
        _run_on_driver(connection, text, lambda driver: driver.cursor().executemany(text, parameters))


def _run_on_driver(connection: Connection, text: str, run: Callable[[Any], Any]) -> Any:
    """Run a function on the driver's connection, in its transaction. Errors are SQLAlchemy's, and contain no values."""
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        return run(connection.connection.driver_connection)
    except errors as error:
        raise sa.exc.DBAPIError.instance(
            text, None, error, errors, hide_parameters=True, dialect=connection.dialect
        ) from error
