"""`make bench-ledger`: cost of a durable review relative to a score, on SQLite and PostgreSQL, with few and many
records.

Every review needs a new id, so the load comes from asyncio clients on the other core; predictions are loaded likewise.
"""

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent_server.audit.verify import verify_ledger
from agent_server.database.engine import snapshot
from agent_server.ledger import open_engine
from bench.harness.options import models_of, parser
from testing.ledger.decisions import append_decisions, new_decision
from testing.load import Call, capacity, until_answered
from testing.reports.results import entry, write
from testing.servers.clients import predict, review
from testing.servers.postgres import binaries, running
from testing.servers.replicas import Replica, agent, scorer
from testing.servers.replicas import running as replicas_running
from testing.waiting import wait_for

ROUNDS, SECONDS, CALLERS = 5, 3.0, 32
FEW, MANY = 1000, 1_000_000
_SERVERS, _CLIENT = frozenset({0}), frozenset({1})


@asynccontextmanager
async def reviewing(
    folder: Path, models: Path, url: str, scorer_core: frozenset[int], warm_up: float
) -> AsyncIterator[tuple[Call, Call, Replica]]:
    """Run a scorer and an agent on a ledger; yield calls that review and that predict, and the agent."""
    behind = scorer(folder, models, cores=scorer_core)
    front = agent(folder, behind.address, ledger_url=url, cores=_SERVERS)
    with replicas_running(behind, front):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        await asyncio.to_thread(wait_for, front.listening, what="the agent listening")
        async with review(front.address) as reviews, predict([behind.address]) as predicts:
            await until_answered(reviews)
            await capacity(reviews, 4, warm_up)
            await capacity(predicts, 4, warm_up / 2)
            yield reviews, predicts, front


def _synced(front: Replica) -> tuple[float, float]:
    """Return the syncs of an agent's ledger, and the writes that it committed."""
    return front.metric("vouch_ledger_syncs_total"), front.metric("vouch_ledger_writes_total")


async def p50(call: Call, number: int = 150) -> float:
    """Return the median milliseconds of sequential calls."""
    seconds = []
    for _ in range(number):
        begun = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) * 1000


def fsync_p50(folder: Path, number: int = 150) -> float:
    """Return the median milliseconds of a write of 4 KiB with fsync, on the ledger's disk."""
    seconds = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(number):
            begun = time.perf_counter()
            file.write(os.urandom(4096))
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) * 1000


def fill_rate(url: str, records: int) -> float:
    """Append decisions of synthetic orders; return records a second."""
    begun, run = time.perf_counter(), uuid.uuid4().hex
    append_decisions(url, records, lambda number: new_decision(f"{run}-{number}"))
    return records / (time.perf_counter() - begun)


@dataclass(frozen=True)
class Scale:
    """Size of the benchmark: rounds, seconds and callers of a rate, calls of a median, records of both ledgers."""

    rounds: int = ROUNDS
    seconds: float = SECONDS
    callers: int = CALLERS
    calls: int = 150
    few: int = FEW
    many: int = MANY
    warm_up: float = 1.0
    settling: float = 1.0
    placements: int = 2
    """On two cores, and on one."""


SHORT = Scale(rounds=1, seconds=0.01, callers=4, calls=5, few=20, many=100, warm_up=0.01, settling=0.0, placements=1)


async def measure(folder: Path, models: Path, scale: Scale) -> dict[str, list[float]]:
    """Return all results, round by round."""
    figures: dict[str, list[float]] = {}

    def figure(name: str, value: float) -> float:
        figures.setdefault(name, []).append(value)
        return value

    sqlite = f"sqlite:///{folder / 'few.db'}"
    fill_rate(sqlite, scale.few)
    for cores, core in (("", _CLIENT), ("_one_core", _SERVERS))[: scale.placements]:
        async with reviewing(folder, models, sqlite, core, scale.warm_up) as (reviews, predicts, front):
            for _ in range(scale.rounds):
                score = figure(f"predict_rate{cores}", await capacity(predicts, scale.callers, scale.seconds))
                before = _synced(front)
                rate = figure(f"review_rate{cores}", await capacity(reviews, scale.callers, scale.seconds))
                await asyncio.sleep(scale.settling)  # metrics are updated twice a second
                await asyncio.to_thread(wait_for, lambda: _synced(front)[1] > before[1], what="updated metrics")  # noqa: B023
                syncs, writes = (late - early for early, late in zip(before, _synced(front), strict=True))
                figure(f"syncs_per_review{cores}", syncs / writes)
                figure(f"review_vs_predict{cores}", rate / score)
                if not cores:
                    disk = figure("fsync_p50_ms", fsync_p50(folder, scale.calls))
                    figure("review_above_fsync_ms", figure("review_p50_ms", await p50(reviews, scale.calls)) - disk)
    figure("verify_rate", _verify_rate(sqlite))
    await _growth(folder, models, sqlite, scale, figure)
    if binaries() is not None:
        with tempfile.TemporaryDirectory(prefix="vouch-pg-") as home, running(Path(home)) as postgres:
            url = postgres.new_database()
            async with (
                reviewing(folder, models, url, _CLIENT, scale.warm_up) as (on_postgres, _, _),
                reviewing(folder, models, sqlite, _CLIENT, scale.warm_up) as (on_sqlite, _, _),
            ):
                for _ in range(scale.rounds):
                    rate = await capacity(on_postgres, scale.callers, scale.seconds)
                    figure("review_postgres_vs_sqlite", rate / await capacity(on_sqlite, scale.callers, scale.seconds))
    return figures


async def _growth(folder: Path, models: Path, few: str, scale: Scale, figure: object) -> None:
    path = folder / "many.db"
    record = figure
    assert callable(record)
    record("fill_rate", fill_rate(f"sqlite:///{path}", scale.many))
    record("bytes_a_decision", path.stat().st_size / scale.many)
    async with (
        reviewing(folder, models, few, _CLIENT, scale.warm_up) as (on_few, _, _),
        reviewing(folder, models, f"sqlite:///{path}", _CLIENT, scale.warm_up) as (on_many, _, _),
    ):
        for _ in range(scale.rounds):
            record("ledger_growth", await p50(on_many, scale.calls) / await p50(on_few, scale.calls))


def _verify_rate(url: str) -> float:
    engine, begun = open_engine(url), time.perf_counter()
    with snapshot(engine) as connection:
        verified = verify_ledger(connection, None)
    engine.dispose()
    assert not verified.broken, verified.broken
    return verified.entries / (time.perf_counter() - begun)


UNITS = {
    "predict_rate": "calls/s", "review_rate": "calls/s", "predict_rate_one_core": "calls/s",
    "review_rate_one_core": "calls/s", "fsync_p50_ms": "ms", "review_p50_ms": "ms", "review_above_fsync_ms": "ms",
    "verify_rate": "entries/s", "fill_rate": "records/s", "bytes_a_decision": "bytes",
    "syncs_per_review": "syncs", "syncs_per_review_one_core": "syncs",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results; return the exit code."""
    options = parser("bench.ledger", "Cost of a durable review.")
    options.add_argument("--records", type=int, default=MANY, help=f"records of the large ledger (default: {MANY:,})")
    chosen = options.parse_args(arguments)
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, _CLIENT)
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        scale = SHORT if chosen.short else Scale(many=chosen.records)
        figures = asyncio.run(measure(Path(folder), models_of(chosen, Path(folder)), scale))
    entries = {name: entry(values, UNITS.get(name, "ratio")) for name, values in figures.items()}
    write("ledger", entries, short=chosen.short)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
