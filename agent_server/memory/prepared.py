"""Statements that are compiled once: to find what it compiled SQLAlchemy walks a statement, a millisecond for a large one."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_Compiled = tuple[str, tuple[str, ...] | None, Mapping[str, Any]]


class Prepared:
    """A statement of which only values change. Rows come as the driver gives them: no types are converted."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def __call__(self, connection: Connection, values: Mapping[str, Any]) -> sa.CursorResult[Any]:
        """Run it."""
        text, order, own = self._compiled.get(connection.dialect.name) or self._compile(connection)
        if order is None:
            return connection.exec_driver_sql(text, {**own, **{name: values[name] for name in own if name in values}})
        return connection.exec_driver_sql(text, tuple(values[name] if name in values else own[name] for name in order))

    def _compile(self, connection: Connection) -> _Compiled:
        compiled: Any = self._statement.compile(dialect=connection.dialect)
        order = tuple(compiled.positiontup) if compiled.positional else None
        found = self._compiled[connection.dialect.name] = (str(compiled), order, compiled.params)
        return found
