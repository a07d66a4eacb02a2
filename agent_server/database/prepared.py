"""Statements that are compiled once and passed to the driver unchanged.

To build a statement, or to look up a compiled one, takes SQLAlchemy longer than the database needs to run it. While
other threads compete for the interpreter, that time delays the writer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

MAX_VALUES: Final = 512
"""Values of one lookup; more are looked up in several steps."""
T = TypeVar("T")
Row = tuple[Any, ...]
Pending = Callable[[], T]
"""A function that waits for the result of a statement and returns it."""
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
    """A query that returns one row, and of which only values change. Types are those of the driver."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._compiled = _CompiledStatement(statement)
        self._names = [column.name for column in statement.selected_columns]

    def __call__(self, connection: Connection, values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the row, by column name."""
        return self.send(connection, values)()

    def send(self, connection: Connection, values: Mapping[str, Any] | None = None) -> Pending[Mapping[str, Any]]:
        """Run it; return a function that returns the row. Between the two, a pipelined connection waits for nothing."""
        text, parameters = self._compiled.text(connection), self._compiled.parameters(connection, values or {})
        cursor = run_on_driver(connection, text, lambda driver: driver.execute(text, parameters))
        return lambda: dict(
            zip(self._names, run_on_driver(connection, text, lambda driver: cursor.fetchone()), strict=True)
        )


class PreparedLookup:
    """A query for the rows of many values at once. Types are those of the driver.

    It is compiled for numbers of values that are powers of two; the last value is repeated to fill up the others.
    """

    def __init__(self, build: Callable[[Sequence[sa.BindParameter[Any]]], sa.Select[Any]]) -> None:
        """`build` returns the query, given the values as parameters."""
        self._build = build
        self._by_size: dict[int, _CompiledStatement] = {}

    def __call__(self, connection: Connection, values: Sequence[Any]) -> Iterator[Row]:
        """Yield the rows of the values."""
        for start in range(0, len(values), MAX_VALUES):
            yield from self.send(connection, values[start : start + MAX_VALUES])()

    def send(self, connection: Connection, values: Sequence[Any]) -> Pending[Sequence[Row]]:
        """Run it for up to MAX_VALUES values, at least one; return a function that returns the rows."""
        size = 1 << (len(values) - 1).bit_length()
        compiled = self._by_size.get(size)
        if compiled is None:
            placeholders: list[sa.BindParameter[Any]] = [sa.bindparam(_name(place)) for place in range(size)]
            compiled = self._by_size[size] = _CompiledStatement(self._build(placeholders))
        padded = [*values, *[values[-1]] * (size - len(values))]
        parameters = compiled.parameters(connection, {_name(place): value for place, value in enumerate(padded)})
        text = compiled.text(connection)
        cursor = run_on_driver(connection, text, lambda driver: driver.execute(text, parameters))
        return lambda: run_on_driver(connection, text, lambda driver: cursor.fetchall())


class PreparedWrite:
    """An insert or update that is run once for each of many rows, which all name the same columns."""

    def __init__(self, statement: sa.Insert | sa.Update, columns: Sequence[str] | None = None) -> None:
        """`columns` are those that rows of an insert name; other columns get their constant defaults."""
        self._defaults: dict[str, Any] = {}
        if columns is not None:
            self._defaults = {
                column.name: column.default.arg
                for column in statement.table.columns
                if column.name not in columns and isinstance(column.default, sa.ColumnDefault)
            }
            self._compiled = _CompiledStatement(statement, column_keys=[*columns, *self._defaults])
        else:
            self._compiled = _CompiledStatement(statement)

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement for each row."""
        text, own = self._compiled.text(connection), self._defaults
        parameters = [self._compiled.parameters(connection, {**own, **row} if own else row) for row in rows]
        if len(parameters) == 1:
            run_on_driver(connection, text, lambda driver: driver.execute(text, parameters[0]))
        else:
            run_on_driver(connection, text, lambda driver: driver.cursor().executemany(text, parameters))


def _name(place: int) -> str:
    return f"value_{place}"


def run_on_driver(connection: Connection, text: str, run: Callable[[Any], Any]) -> Any:
    """Run a function on the driver's connection, in its transaction. Errors are SQLAlchemy's, and contain no values."""
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        return run(connection.connection.driver_connection)
    except errors as error:
        raise sa.exc.DBAPIError.instance(
            text, None, error, errors, hide_parameters=True, dialect=connection.dialect
        ) from error
