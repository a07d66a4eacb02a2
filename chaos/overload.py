"""Load of three times the capacity: accepted calls are answered in time, others are refused at once."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from google.rpc import error_details_pb2
from grpc_status import rpc_status

from chaos.ledger.retrying import RetryingCaller
from testing.load import Call, Outcome, capacity, run_callers, run_for_seconds, run_in_turn, until_answered
from testing.servers.clients import order, predict_batch, review
from testing.servers.replicas import Replica, agent, edge, running, scorer
from testing.waiting import wait_for

TIMES = 3.0
CALLERS = 16
"""Concurrent calls that measure the capacity; concurrent reviews are scored and recorded in groups."""
BATCH, SMALL_BATCH = 512, 64
_QUIET = 0.1  # multiple of the capacity
_SERVER, _CLIENT = frozenset({0}), frozenset({1})


@dataclass(frozen=True)
class Crowd:
    """`callers` callers without pauses, until `enough` calls were answered and as many refused.

    They exceed the concurrency limit on any machine; a multiple of a capacity that was measured before may not.
    """

    callers: int
    enough: int


@dataclass(frozen=True)
class OverloadResult:
    """Latencies in seconds, rates per second, resident bytes."""

    unloaded_p99: float
    capacity: float
    flood: Outcome
    after: Outcome
    resident_before: int
    resident_peak: int
    resident_after: int

    @property
    def p99_ratio(self) -> float:
        """Return p99 of accepted calls under the flood divided by the unloaded p99."""
        return self.flood.latency(0.99) / self.unloaded_p99

    @property
    def with_retry_info(self) -> int:
        """Count the refusals that have a RetryInfo."""
        counted = 0
        for error in self.flood.errors:
            rich = rpc_status.from_call(error)
            counted += rich is not None and any(
                detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in rich.details
            )
        return counted


async def overload_reviews(
    folder: Path, models: Path, seconds: float, times: float = TIMES, crowd: Crowd | None = None
) -> OverloadResult:
    """Overload reviews, through edge, agent, scorer and ledger; `crowd` replaces the rate and the seconds."""
    behind = scorer(folder, models, cores=None if crowd else _SERVER)
    front = agent(folder, behind.address, cores=None if crowd else _SERVER)
    with edge(folder, behind, front) as address:
        if crowd:
            return await _measure_crowd([behind, front], front, lambda: review(address), crowd)
        return await _measure_overload([behind, front], front, lambda: review(address), seconds, times)


async def overload_batches(folder: Path, models: Path, seconds: float, crowd: Crowd | None = None) -> OverloadResult:
    """Overload batches, through edge and scorer; those of a `crowd` are small."""
    server = scorer(folder, models, cores=None if crowd else _SERVER)
    orders = [order(f"chaos-{number}") for number in range(SMALL_BATCH if crowd else BATCH)]
    with edge(folder, server, server) as address:
        if crowd:
            return await _measure_crowd([server], server, lambda: predict_batch(address, orders), crowd)
        return await _measure_overload([server], server, lambda: predict_batch(address, orders), seconds)


async def _measure_crowd(
    replicas: list[Replica],
    watched: Replica,
    client: Callable[[], AbstractAsyncContextManager[Call]],
    crowd: Crowd,
) -> OverloadResult:
    with running(*replicas):
        await asyncio.to_thread(wait_for, replicas[0].serving, what="the scorer serving")
        await asyncio.to_thread(wait_for, watched.listening, what="the server that is flooded")
        async with client() as call:
            await until_answered(call)
            quiet, before = await run_in_turn(call, crowd.enough), watched.resident_bytes()
            flood, peak = await run_callers(call, crowd.callers, crowd.enough), watched.resident_bytes()
            retrying = RetryingCaller()
            after = await run_in_turn(lambda: retrying.send(call), crowd.enough)
        return OverloadResult(quiet.latency(0.99), 0.0, flood, after, before, peak, watched.resident_bytes())


async def _measure_overload(
    replicas: list[Replica],
    watched: Replica,
    client: Callable[[], AbstractAsyncContextManager[Call]],
    seconds: float,
    times: float = TIMES,
) -> OverloadResult:
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with running(*replicas):
        try:
            if mine and len(mine) > 1:
                os.sched_setaffinity(0, _CLIENT)
            await asyncio.to_thread(wait_for, replicas[0].serving, what="the scorer serving")
            await asyncio.to_thread(wait_for, watched.listening, what="the server that is flooded")
            async with client() as call:
                await capacity(call, CALLERS, min(seconds, 3.0))  # let one-time work happen at the first call
                peak = await capacity(call, CALLERS, min(seconds, 4.0))
                await asyncio.sleep(0.5)
                quiet = await run_for_seconds(call, peak * _QUIET, min(seconds, 10.0))
                resident = [watched.resident_bytes()]
                task = asyncio.create_task(run_for_seconds(call, times * peak, seconds))
                while not task.done():
                    await asyncio.sleep(0.25)
                    resident.append(watched.resident_bytes())
                flood = await task
                await asyncio.sleep(1.0)
                after = await run_for_seconds(call, peak * _QUIET, min(seconds, 4.0))
        finally:
            if mine:
                os.sched_setaffinity(0, mine)
        return OverloadResult(
            quiet.latency(0.99), peak, flood, after, resident[0], max(resident), watched.resident_bytes()
        )
