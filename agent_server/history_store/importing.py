"""Past orders for memory: from a table, in pieces, as often as one likes."""

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
from history.definitions import NEEDED, amount_units, key_text

AT_ONCE = 5000
"""Rows of one transaction: so long a decision waits for an import beside it."""
_PATIENCE_SECONDS = 600
"""So long nothing is folded after the latest rows: an import that is interrupted meanwhile can go on."""


class Importing:
    """Takes orders into memory. Those that it has, by id, account and time, are left alone, and those of accounts that were
    erased since the import began are left out.

    What is imported has numbers below 0: it was asked about before all that was asked here. What is older than what was
    folded is left out: whether it is in the totals already nobody can say.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with snapshot(engine) as connection:
            self._key = bytes(connection.execute(sa.select(MEMORY.c.key)).scalar_one())
        self.rows = self.new = self.too_old = self.erased = 0
        self._first: int | None = None

    def add(self, table: pa.Table) -> None:
        """Take the next rows: each AT_ONCE of them or none."""
        for start in range(0, table.num_rows, AT_ONCE):
            part = table.slice(start, AT_ONCE)
            with writing(self._engine) as connection, connection.begin():
                connection.execute(sa.select(HEAD.c.sequence).with_for_update())  # no attempt comes between
                folded_until, importing_until = connection.execute(
                    sa.select(MEMORY.c.folded_until, MEMORY.c.importing_until)
                ).one()
                now = database_seconds(connection)
                if importing_until <= now:  # what was excluded was from another import
                    _include_all(connection)
                connection.execute(MEMORY.update().values(importing_until=now + _PATIENCE_SECONDS))
                excluded = set(connection.execute(sa.select(IMPORT_EXCLUSIONS.c.user_id)).scalars())
                given = _rows(part, self._key)
                whole = [row for row in given if row["user_id"] not in excluded]
                rows = [row for row in whole if row["at"] >= folded_until]
                if rows:
                    self.new += _insert(connection, rows)
            self.too_old += len(whole) - len(rows)
            self.erased += len(given) - len(whole)
            times = [row["at"] for row in rows]
            self._first = min([*times, self._first] if self._first is not None else times, default=None)
            self.rows += part.num_rows

    def finish(self) -> None:
        """All rows are in: memory knows all orders since the first of them."""
        with writing(self._engine) as connection, connection.begin():
            connection.execute(MEMORY.update().values(importing_until=0))
            _include_all(connection)
            if self._first is not None:
                connection.execute(MEMORY.update().where(MEMORY.c.since > self._first).values(since=self._first))


def _include_all(connection: Connection) -> None:
    """Forget which accounts were erased during an import."""
    if connection.execute(IMPORT_EXCLUSIONS.delete()).rowcount:
        connection.execute(request_removal())


def known_since(engine: Engine) -> dt.datetime:
    """From when on memory knows all orders, in UTC."""
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


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> int:
    """Insert those that are not there; how many were not."""
    users = list({row["user_id"] for row in rows})
    known: set[tuple[Any, ...]] = set()
    for start in range(0, len(users), 500):
        chosen = sa.select(ATTEMPTS.c.user_id, ATTEMPTS.c.at, ATTEMPTS.c.transaction_id)
        named = chosen.where(
            ATTEMPTS.c.user_id.in_(users[start : start + 500]),
            ATTEMPTS.c.at.between(min(row["at"] for row in rows), max(row["at"] for row in rows)),
        )
        known |= {tuple(row) for row in connection.execute(named)}
    fresh = {(row["user_id"], row["at"], row["transaction_id"]): row for row in rows}
    fresh = {name: row for name, row in fresh.items() if name not in known}
    if fresh:
        lowest = connection.execute(sa.select(sa.func.min(ATTEMPTS.c.number))).scalar()
        first = min(int(lowest) if lowest is not None else 0, 0) - len(fresh)  # 0 is no attempt's number
        numbered = [row | {"number": first + place} for place, row in enumerate(fresh.values())]
        connection.execute(ATTEMPTS.insert(), numbered)
    return len(fresh)
