"""Imports past orders into history, from a table, in chunks. An import can be repeated."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from agent_server.database.clock import database_seconds
from agent_server.database.engine import snapshot, writing
from agent_server.ledger.attempts import digests
from agent_server.ledger.removal import request_removal
from agent_server.ledger.schema import ATTEMPTS, HEAD, IMPORT_EXCLUSIONS, MEMORY
from agent_server.ledger.transaction import lock_ledger
from history.definitions import NEEDED, amount_units, key_text

AT_ONCE = 5000
"""Rows per transaction. A decision may wait for one such transaction."""
_COMPACTION_PAUSE_SECONDS = 600
"""How long compaction pauses after the latest rows, so that an interrupted import can go on."""


class HistoryImport:
    """Imports orders, but not those that history has already.

    An order is recognised by its id, or without one by its account and time. Other content replaces that of an
    earlier import, and never what the agent itself received. Orders of accounts that were erased since the import began
    are skipped.

    Imported attempts have numbers below 0: they precede all orders that this ledger received. Orders before the time up
    to which attempts are compacted are skipped, since they may be in the totals already.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with snapshot(engine) as connection:
            self._key = bytes(connection.execute(sa.select(MEMORY.c.key)).scalar_one())
        self.rows = self.new = self.replaced = self.too_old = self.erased = 0
        self._first: int | None = None

    def add(self, table: pa.Table) -> None:
        """Import the next rows. Each AT_ONCE of them are imported together or not at all."""
        for start in range(0, table.num_rows, AT_ONCE):
            part = table.slice(start, AT_ONCE)
            with writing(self._engine) as connection, connection.begin():
                lock_ledger(connection)
                connection.execute(sa.select(HEAD.c.sequence).with_for_update())  # no attempt is inserted meanwhile
                folded_until, importing_until = connection.execute(
                    sa.select(MEMORY.c.folded_until, MEMORY.c.importing_until)
                ).one()
                now = database_seconds(connection)
                if importing_until <= now:  # the exclusions are of another import
                    _clear_exclusions(connection)
                connection.execute(MEMORY.update().values(importing_until=now + _COMPACTION_PAUSE_SECONDS))
                excluded = set(connection.execute(sa.select(IMPORT_EXCLUSIONS.c.user_id)).scalars())
                parsed = _rows(part, self._key)
                allowed = [row for row in parsed if row["user_id"] not in excluded]
                rows = [row for row in allowed if row["at"] >= folded_until]
                if rows:
                    new, replaced = _store(connection, rows)
                    self.new, self.replaced = self.new + new, self.replaced + replaced
            self.too_old += len(allowed) - len(rows)
            self.erased += len(parsed) - len(allowed)
            times = [row["at"] for row in rows]
            self._first = min([*times, self._first] if self._first is not None else times, default=None)
            self.rows += part.num_rows

    def finish(self) -> None:
        """Finish after the last rows: history is complete from the first of them on."""
        with writing(self._engine) as connection, connection.begin():
            connection.execute(MEMORY.update().values(importing_until=0))
            _clear_exclusions(connection)
            if self._first is not None:
                connection.execute(MEMORY.update().where(MEMORY.c.since > self._first).values(since=self._first))


def _clear_exclusions(connection: Connection) -> None:
    """Delete the exclusions of accounts that were erased during an import."""
    if connection.execute(IMPORT_EXCLUSIONS.delete()).rowcount:
        connection.execute(request_removal())


def known_since(engine: Engine) -> dt.datetime:
    """Return the time from which on history is complete, in UTC."""
    with snapshot(engine) as connection:
        seconds = connection.execute(sa.select(MEMORY.c.since)).scalar_one()
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _rows(part: pa.Table, key: bytes) -> list[dict[str, Any]]:
    names = [name for name in ("transaction_id", "order_amount", *NEEDED) if name in part.column_names]
    at = pc.cast(part.column("timestamp"), pa.timestamp("s"), safe=False).cast(pa.int64())
    rows = part.select(names).to_pylist()
    return [
        {
            "at": moment,
            "amount": amount_units(_number(row.get("order_amount"))),
            "counts": True,
            **digests(key, {name: key_text(name, row.get(name)) for name in ("transaction_id", *NEEDED)}),
        }
        for row, moment in zip(rows, at.to_pylist(), strict=True)
        if moment is not None and row.get("user_id")
    ]


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


_CONTENT = ("at", "amount", *NEEDED)
_SELECTED = 500
"""Keys in one query."""


def _store(connection: Connection, rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Insert the rows that history does not have, and replace imported ones of other content; return both numbers."""
    named = {row["transaction_id"]: row for row in rows if row["transaction_id"] is not None}
    nameless = {(row["user_id"], row["at"]): row for row in rows if row["transaction_id"] is None}
    known = _known_by_id(connection, list(named))
    changed = [
        (attempts, named[name])
        for name, attempts in known.items()
        if attempts[0]["number"] < 0 and any(attempts[0][column] != named[name][column] for column in _CONTENT)
    ]
    if changed:
        statement = ATTEMPTS.update().where(ATTEMPTS.c.number == sa.bindparam("place"))
        values: dict[str, Any] = {column: sa.bindparam(f"new_{column}") for column in _CONTENT}
        connection.execute(
            statement.values(values),
            [
                {"place": attempts[0]["number"], **{f"new_{column}": row[column] for column in _CONTENT}}
                for attempts, row in changed
            ],
        )
    if twice := [one["number"] for attempts in known.values() for one in attempts[1:] if one["number"] < 0]:
        connection.execute(ATTEMPTS.delete().where(ATTEMPTS.c.number.in_(twice)))  # by imports of older versions
    new = [row for name, row in named.items() if name not in known]
    if nameless:
        present = _known_by_account(connection, list(nameless.values()))
        new += [row for key, row in nameless.items() if key not in present]
    if new:
        lowest = connection.execute(sa.select(sa.func.min(ATTEMPTS.c.number))).scalar()
        first = min(int(lowest) if lowest is not None else 0, 0) - len(new)  # 0 is no attempt's number
        connection.execute(ATTEMPTS.insert(), [row | {"number": first + place} for place, row in enumerate(new)])
    return len(new), len(changed)


def _known_by_id(connection: Connection, ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the attempts of orders by id; the latest that the agent received first, then imported ones."""
    found: dict[int, list[dict[str, Any]]] = {}
    columns = [ATTEMPTS.c[name] for name in ("number", "transaction_id", *_CONTENT)]
    for start in range(0, len(ids), _SELECTED):
        chosen = sa.select(*columns).where(ATTEMPTS.c.transaction_id.in_(ids[start : start + _SELECTED]))
        for row in connection.execute(chosen.order_by(ATTEMPTS.c.number.desc())):
            found.setdefault(row.transaction_id, []).append(dict(row._mapping))
    return found


def _known_by_account(connection: Connection, rows: list[dict[str, Any]]) -> set[tuple[int, int]]:
    """Return account and time of the orders without id that history has, among those of the rows."""
    users, known = list({row["user_id"] for row in rows}), set()
    first, last = min(row["at"] for row in rows), max(row["at"] for row in rows)
    for start in range(0, len(users), _SELECTED):
        chosen = sa.select(ATTEMPTS.c.user_id, ATTEMPTS.c.at).where(
            ATTEMPTS.c.user_id.in_(users[start : start + _SELECTED]),
            ATTEMPTS.c.transaction_id.is_(None),
            ATTEMPTS.c.at.between(first, last),
        )
        known |= {(row.user_id, row.at) for row in connection.execute(chosen)}
    return known
