"""SIGTERM under load: a replica drains and ends while another goes on; no call fails."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from testing.load import Outcome, Traffic
from testing.servers.clients import predict
from testing.servers.replicas import scorer, serving
from testing.waiting import wait_for

ANSWERS = 100
"""Between one drain and the next."""


@dataclass(frozen=True)
class Drained:
    """What the callers saw, and the exit codes."""

    outcome: Outcome
    codes: list[int]


async def drain_replicas(folder: Path, models: Path, drains: int, rate: float, workers: int = 1) -> Drained:
    """Stop and start the two replicas in turn."""
    replicas, codes = [scorer(folder, models, workers=workers) for _ in range(2)], list[int]()
    async with serving(*replicas), predict([replica.address for replica in replicas]) as call:
        async with Traffic(call, rate) as traffic:
            await traffic.answers(ANSWERS)
            for number in range(drains):
                replica = replicas[number % 2]
                codes.append(await asyncio.to_thread(replica.stop))
                replica.start()
                has_scored = lambda replica=replica: replica.metric("vouch_scored_orders_total") > 0  # noqa: E731
                await asyncio.to_thread(wait_for, has_scored, what="the client's return to a restarted replica")
                await traffic.answers(ANSWERS)
        return Drained(traffic.outcome, codes)
