"""SIGTERM under load: a replica drains and ends while another goes on; no call fails."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from bench.waiting import wait_for
from chaos.clients import predict
from chaos.cluster import scorer, serving
from chaos.load import Outcome, stream


@dataclass(frozen=True)
class Drained:
    """What the callers saw, and the exit codes."""

    outcome: Outcome
    codes: list[int]


async def drain_replicas(folder: Path, models: Path, drains: int, rate: float, workers: int = 1) -> Drained:
    """Stop and start the two replicas in turn."""
    replicas = [scorer(folder, models, workers=workers) for _ in range(2)]
    until, codes = asyncio.Event(), list[int]()
    async with serving(*replicas), predict([replica.address for replica in replicas]) as call:
        load = asyncio.create_task(stream(call, rate, until))
        await asyncio.sleep(1.0)
        for number in range(drains):
            replica = replicas[number % 2]
            codes.append(await asyncio.to_thread(replica.stop))
            replica.start()
            await asyncio.to_thread(wait_for, replica.serving, what="restart")
            await asyncio.sleep(1.5)  # until the client has found it again
        until.set()
        return Drained(await load, codes)
