"""Retention: attempts that no window can reach any more are added to totals of their accounts, and deleted.

The age of orders is measured by the orders themselves, so that a replay of last year's orders compacts nothing too
early. Ages count from the median time of the latest thousand attempts, or from the clock if that is earlier.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.clock import database_seconds
from agent_server.ledger.queries import Query
from agent_server.ledger.schema import ATTEMPTS, FOLDED, FOLDED_DEVICES, MEMORY, REPLACED_ATTEMPTS
from agent_server.ledger.transaction import LedgerTransaction
from agent_server.ledger.writer import Ledger
from history.definitions import DAY, LATEST
from runtime.errors import Unavailable
from runtime.telemetry.logging import get_logger

AT_ONCE: Final = 500
"""Attempts per transaction. A decision may wait for one such transaction."""
_MAX_SUM: Final = (1 << 63) - 1
_log = get_logger()


def compactable_until(days: int, now: int) -> Query[int | None]:
    """Return a query for the time up to which attempts can be compacted; None for nothing, or during an import."""
    latest = sa.select(ATTEMPTS.c.at).order_by(ATTEMPTS.c.number.desc()).limit(LATEST)

    def read(connection: Connection) -> int | None:
        times = sorted(connection.execute(latest).scalars())
        memory = connection.execute(sa.select(MEMORY.c.folded_until, MEMORY.c.importing_until)).one()
        if not times or memory.importing_until > database_seconds(connection):
            return None
        until = min(times[len(times) // 2], now) - days * DAY
        return until if until > memory.folded_until else None

    return read


def old_attempts(until: int, after: int) -> Query[list[int]]:
    """Return a query for the numbers of up to AT_ONCE attempts before a time, after a number."""
    chosen = sa.select(ATTEMPTS.c.number).where(ATTEMPTS.c.at < until, ATTEMPTS.c.number > after)
    return lambda connection: list(connection.execute(chosen.order_by(ATTEMPTS.c.number).limit(AT_ONCE)).scalars())


class Compact:
    """Compacts attempts, so that nothing before a time is counted from now on. Returns the number of attempts."""

    def __init__(self, until: int, numbers: Iterable[int]) -> None:
        self._until, self._numbers = until, list(numbers)

    def __call__(self, tx: LedgerTransaction) -> int:
        """Compact them."""
        if tx.history.compacted_until < self._until:
            tx.history.compacted_until = self._until
            tx.execute(MEMORY.update().values(folded_until=self._until))
        chosen = ATTEMPTS.c.number.in_(self._numbers)
        rows = tx.execute(sa.select(ATTEMPTS).where(chosen)).all()
        by_user: dict[int, list[Any]] = {}
        for row in rows:
            if row.user_id is not None:  # otherwise the attempt was replaced or erased
                by_user.setdefault(row.user_id, []).append(row)
        _add_totals(tx, by_user)
        _add_devices(tx, by_user)
        tx.execute(ATTEMPTS.delete().where(chosen))
        tx.execute(REPLACED_ATTEMPTS.delete().where(REPLACED_ATTEMPTS.c.at < self._until))
        tx.reset_attempts()
        return len(rows)


class CompactionJob:
    """Compacts attempts that are older than a number of days."""

    def __init__(self, ledger: Ledger, days: int) -> None:
        self._ledger, self._days = ledger, days

    async def run_once(self, now: int | None = None) -> int:
        """Compact all that is old enough; return the number of attempts."""
        until = await self._ledger.read_in_background(
            compactable_until(self._days, int(time.time()) if now is None else now)
        )
        if until is None:
            return 0
        compacted, last = 0, -(1 << 62)
        while numbers := await self._ledger.read_in_background(old_attempts(until, last)):
            compacted += await self._ledger.write(Compact(until, numbers))
            last = numbers[-1]
        if compacted:
            _log.info("old attempts compacted into totals", attempts=compacted, days=self._days)
        return compacted

    async def run(self) -> None:
        """Compact what is old enough, unless the ledger is unavailable."""
        try:
            await self.run_once()
        except Unavailable:
            _log.warning("old attempts were not compacted; the ledger is unavailable")


def _add_totals(tx: LedgerTransaction, by_user: dict[int, list[Any]]) -> None:
    known = {row.user_id: row for row in tx.execute(sa.select(FOLDED).where(FOLDED.c.user_id.in_(by_user)))}
    tx.execute(FOLDED.delete().where(FOLDED.c.user_id.in_(known)))
    for user, rows in by_user.items():
        orders = [row for row in rows if row.counts]
        amounts = [row.amount for row in orders if row.amount is not None]
        firsts, lasts, before = [row.at for row in orders], [row.at for row in rows], known.get(user)
        total = {"orders": len(orders), "units": sum(amounts), "amounts": len(amounts)}
        if before is not None:
            total = {name: value + getattr(before, name) for name, value in total.items()}
            firsts += [before.first] if before.first is not None else []
            lasts.append(before.last)
        total["units"] = min(total["units"], _MAX_SUM)
        tx.insert(FOLDED, {"user_id": user, "first": min(firsts, default=None), "last": max(lasts), **total})


def _add_devices(tx: LedgerTransaction, by_user: dict[int, list[Any]]) -> None:
    """Store up to LATEST devices of an account: no real customer has more."""
    known: dict[int, set[int]] = {}
    for row in tx.execute(sa.select(FOLDED_DEVICES).where(FOLDED_DEVICES.c.user_id.in_(by_user))):
        known.setdefault(row.user_id, set()).add(row.device_id)
    for user, rows in by_user.items():
        before = known.get(user, set())
        new = {row.device_id for row in rows if row.device_id is not None} - before
        for device in sorted(new)[: max(0, LATEST - len(before))]:
            tx.insert(FOLDED_DEVICES, {"user_id": user, "device_id": device})
