"""kill -9 of workers and SIGTERM of replicas while two replicas serve: every call gets an answer."""

import asyncio
import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path

from testing.load import Outcome, Traffic
from testing.servers.clients import predict
from testing.servers.replicas import scorer, serving
from testing.waiting import wait_for

ANSWERS = 100
"""Answers between two kills."""


@dataclass(frozen=True)
class WorkerKillResult:
    """What callers got, and how long each replica took to recover."""

    outcome: Outcome
    recoveries: list[float]


async def kill_workers(
    folder: Path, models: Path, kills: int, rate: float, workers: int = 2, between: int = ANSWERS
) -> WorkerKillResult:
    """Kill random workers, each once the replica has recovered from the last kill."""
    replicas = [scorer(folder, models, workers=workers) for _ in range(2)]
    choose, recoveries = random.Random(0), list[float]()
    async with serving(*replicas), predict([replica.address for replica in replicas]) as call:
        async with Traffic(call, rate) as traffic:
            await traffic.answers(between)
            for _ in range(kills):
                replica = choose.choice(replicas)
                before = set(replica.pids())
                victim = choose.choice(sorted(before))
                os.kill(victim, signal.SIGKILL)

                def whole(replica=replica, before=before, victim=victim) -> bool:  # type: ignore[no-untyped-def]
                    now = set(replica.pids())
                    return victim not in now and len(now) == len(before) and replica.serving()

                recoveries.append(await asyncio.to_thread(wait_for, whole, what="recovery"))
                await traffic.answers(between)
        return WorkerKillResult(traffic.outcome, recoveries)


@dataclass(frozen=True)
class DrainResult:
    """What callers got, and the exit codes."""

    outcome: Outcome
    codes: list[int]


async def drain_replicas(
    folder: Path, models: Path, drains: int, rate: float, workers: int = 1, between: int = ANSWERS
) -> DrainResult:
    """Stop and start the two replicas in turn."""
    replicas, codes = [scorer(folder, models, workers=workers) for _ in range(2)], list[int]()
    async with serving(*replicas), predict([replica.address for replica in replicas]) as call:
        async with Traffic(call, rate) as traffic:
            await traffic.answers(between)
            for number in range(drains):
                replica = replicas[number % 2]
                codes.append(await asyncio.to_thread(replica.stop))
                replica.start()
                has_scored = lambda replica=replica: replica.metric("vouch_scored_orders_total") > 0  # noqa: E731
                await asyncio.to_thread(wait_for, has_scored, what="the client's return to a restarted replica")
                await traffic.answers(between)
        return DrainResult(traffic.outcome, codes)
