"""Power failures of an SQLite ledger: whatever part of the unsynced writes is lost, acknowledged decisions are recorded.

Each sync copies the files; until the next sync ends, only this copy is certainly on disk. A power failure leaves it,
with any of the sectors that were written to the log since.
"""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from agent_server.audit.verify import verify_ledger
from agent_server.database.engine import snapshot
from agent_server.database.log import log_path
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.group_commit import GroupCommit
from agent_server.ledger.schema import PAYLOADS
from agent_server.ledger.transaction import Write
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger

_SECTOR_BYTES, _LOG_HEADER_BYTES = 512, 32
_CHECKPOINT_PAGES = 200
"""Pages in the log at which SQLite makes a checkpoint: few, so that the log restarts often."""
_SLOWEST_SYNC_SECONDS = 0.004


@dataclass(frozen=True)
class Cut:
    """A power failure just before a sync ended: database and log at the last sync and now, and what was acknowledged."""

    on_disk: tuple[bytes, bytes]
    written: tuple[bytes, bytes]
    acknowledged: frozenset[str]


@dataclass
class PowerLossResult:
    """What was found after the failures. All counts must be 0 but those of failures."""

    cuts: int = 0
    torn: int = 0
    """Failures that left a part of the unsynced sectors."""
    restarts: int = 0
    """Times that the log began anew after a checkpoint."""
    missing: int = 0
    """Acknowledged decisions that were lost."""
    broken: list[str] = field(default_factory=list)


class RecordedDisk:
    """Takes the place of the disk: each sync takes a while, and copies the files instead."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.acknowledged: set[str] = set()
        self.cuts: list[Cut] = []
        self._path, self._chance = path, chance
        self._last: tuple[bytes, bytes] | None = None
        self._unchanged = threading.Lock()

    def sync(self, descriptor: int) -> None:
        """Copy the files, and end a moment later."""
        with self._unchanged:
            copied = self._path.read_bytes(), log_path(self._path).read_bytes()
        time.sleep(self._chance.random() * _SLOWEST_SYNC_SECONDS)
        if self._last is not None:
            with self._unchanged:
                written = self._path.read_bytes(), log_path(self._path).read_bytes()
            self.cuts.append(Cut(self._last, written, frozenset(self.acknowledged)))
        self._last = copied

    def run_group(self, run: Any) -> Any:
        """Return the function that commits a group, without copies of the files at the same time."""

        def locked(own: GroupCommit, writes: Sequence[Write[Any]], *, failing: bool) -> Any:
            with self._unchanged:
                return run(own, writes, failing=failing)

        return locked


async def cut_power(folder: Path, decisions: int, callers: int, cuts: int, seed: int = 1) -> PowerLossResult:
    """Record decisions, cut the power at random moments, and check each ledger that this leaves."""
    chance = random.Random(seed)
    path = folder / "ledger.db"
    engine = open_engine(new_ledger(path))
    setting = f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}"
    sa.event.listen(engine, "checkout", lambda driver, *_: driver.execute(setting))
    disk, numbers = RecordedDisk(path, chance), itertools.count()

    async def record_decisions(ledger: Ledger) -> None:
        while (number := next(numbers)) < decisions:
            recorded = await ledger.write(new_decision(number))
            disk.acknowledged.add(recorded.answer.transaction_id)

    with (
        mock.patch("agent_server.database.log._sync_data", disk.sync),
        mock.patch.object(GroupCommit, "run", disk.run_group(GroupCommit.run)),
    ):
        ledger = Ledger(engine)
        await asyncio.gather(*(record_decisions(ledger) for _ in range(callers)))
        await asyncio.to_thread(ledger.close)
    assert len(disk.acknowledged) == decisions
    result = PowerLossResult()
    logs = [cut.on_disk[1][:_LOG_HEADER_BYTES] for cut in disk.cuts]
    result.restarts = sum(one != other for one, other in itertools.pairwise(logs))
    for number, cut in enumerate(chance.sample(disk.cuts, min(cuts, len(disk.cuts)))):
        _check(folder / f"cut-{number}.db", cut, chance, result)
    return result


def _check(path: Path, cut: Cut, chance: random.Random, result: PowerLossResult) -> None:
    database, log = cut.on_disk
    if cut.written[0] == database and cut.written[1][:_LOG_HEADER_BYTES] == log[:_LOG_HEADER_BYTES]:
        log = _tear(log, cut.written[1], chance)
        result.torn += log != cut.on_disk[1]
    path.write_bytes(database)
    log_path(path).write_bytes(log)
    engine = open_engine(f"sqlite:///{path}")
    with snapshot(engine) as connection:
        verified = verify_ledger(connection, None)
        recorded = set(connection.execute(sa.select(PAYLOADS.c.transaction_id)).scalars())
    engine.dispose()
    result.cuts += 1
    result.missing += len(cut.acknowledged - recorded)
    result.broken += [verified.broken] if verified.broken else []


def _tear(on_disk: bytes, written: bytes, chance: random.Random) -> bytes:
    """Return a log of which some sectors were written since it was synced, and the others were not."""
    sectors = range(0, chance.randint(len(on_disk), max(len(on_disk), len(written))), _SECTOR_BYTES)
    ends = (sector + _SECTOR_BYTES for sector in sectors)
    return b"".join(
        (chance.choice((on_disk, written))[sector:end]).ljust(_SECTOR_BYTES, b"\0")
        for sector, end in zip(sectors, ends, strict=True)
    )
