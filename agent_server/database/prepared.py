"""Statements that are compiled once and go to the driver as they are: to find what it compiled SQLAlchemy walks a statement, a
millisecond for a large one, and each turn that Python takes beside others' threads costs the writer its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_Compiled = tuple[str, tuple[str, ...] | None, Mapping[str, Any]]


class _Compiling:
    """A statement as the driver takes it, by database."""

    def __init__(self, statement: Any, **options: Any) -> None:
        self._statement, self._options = statement, options
        self._known: dict[str, _Compiled] = {}

    def text(self, connection: Connection) -> str:
        """The statement."""
        return self._of(connection)[0]

    def bound(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Its values in the driver's order; what is not named is the statement's own."""
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
    """A statement of which only values change, and that gives one row; as the driver gives it: no types are converted."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._compiling = _Compiling(statement)
        self._names = [column.name for column in statement.selected_columns]

    def __call__(self, connection: Connection, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row, by names."""
        text, bound = self._compiling.text(connection), self._compiling.bound(connection, values)
        row = _driven(connection, text, lambda driver: driver.execute(text, bound).fetchone())
        return dict(zip(self._names, row, strict=True))


class PreparedInsert:
    """Rows for a table that has no defaults: each names the same columns."""

    def __init__(self, table: sa.Table, columns: Sequence[str]) -> None:
        self._compiling = _Compiling(table.insert().inline(), column_keys=list(columns))

    def __call__(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert them."""
        text = self._compiling.text(connection)
        bound = [self._compiling.bound(connection, row) for row in rows]
        _driven(connection, text, lambda driver: driver.cursor().executemany(text, bound))


def _driven(connection: Connection, text: str, run: Callable[[Any], Any]) -> Any:
    """Run it in the connection's transaction. Errors are SQLAlchemy's, as everywhere, and hold no values."""
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        return run(connection.connection.driver_connection)
    except errors as error:
        raise sa.exc.DBAPIError.instance(
            text, None, error, errors, hide_parameters=True, dialect=connection.dialect
        ) from error
