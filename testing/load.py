"""Open-loop load: calls begin on schedule, whether or not earlier ones were answered, and all of them are counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

import grpc
from google.protobuf.message import Message

_PATIENCE_SECONDS = 120.0
_LONGEST_SLEEP, _SHORTEST_SLEEP = 0.05, 0.002
at_once: int | None = None
"""Limit for concurrent calls of a stream; None: no limit. Tests set it, so that a machine that stalls is not sent all
delayed calls at once afterwards, which would be an overload.
"""
Call = Callable[[], Awaitable[Message]]


@dataclass
class Outcome:
    """Outcomes of all calls: answers with their latencies, failures by code."""

    sent: int = 0
    answers: list[tuple[float, Message]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    errors: list[grpc.aio.AioRpcError] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Return the number of calls that neither answered nor failed."""
        return self.sent - len(self.answers) - self.failures.total()

    def latency(self, share: float) -> float:
        """Return a quantile of the latencies of answered calls, in seconds."""
        times = sorted(seconds for seconds, _ in self.answers)
        return times[min(len(times) - 1, int(len(times) * share))] if times else float("nan")


async def _one(call: Call, outcome: Outcome) -> None:
    begun = time.perf_counter()
    try:
        answer = await call()
    except grpc.aio.AioRpcError as error:
        outcome.failures[error.code().name] += 1
        outcome.errors.append(error)
    else:
        outcome.answers.append((time.perf_counter() - begun, answer))


class Traffic:
    """Calls at a rate, open loop, while the block runs; at its end it waits for all of them.

    A scenario waits for a number of answers, not for time, so it sees as many of them on any machine.
    """

    def __init__(self, call: Call, rate: float) -> None:
        self.outcome = Outcome()
        self._until = asyncio.Event()
        self._running = (call, rate)

    async def __aenter__(self) -> Self:
        """Start the calls."""
        self._task = asyncio.create_task(stream(*self._running, self._until, self.outcome))
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop, and wait for calls in flight."""
        self._until.set()
        await self._task

    async def answers(self, more: int) -> None:
        """Wait until `more` further calls were answered. Raises TimeoutError."""
        wanted = len(self.outcome.answers) + more
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(self.outcome.answers) < wanted:
                await asyncio.sleep(0.01)


async def stream(call: Call, rate: float, until: asyncio.Event, outcome: Outcome | None = None) -> Outcome:
    """Send calls at a rate until `until` is set, then wait for all of them."""
    outcome, tasks, begun = outcome or Outcome(), set[asyncio.Task[None]](), time.perf_counter()
    while not until.is_set():
        while outcome.sent < (time.perf_counter() - begun) * rate and (at_once is None or len(tasks) < at_once):
            task = asyncio.create_task(_one(call, outcome))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            outcome.sent += 1
        due = begun + outcome.sent / rate - time.perf_counter()
        await asyncio.sleep(min(max(due, _SHORTEST_SLEEP), _LONGEST_SLEEP))
    await asyncio.gather(*tasks)
    return outcome


async def run_for_seconds(call: Call, rate: float, seconds: float) -> Outcome:
    """Send calls at a rate for some seconds."""
    until = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, until.set)
    return await stream(call, rate, until)


async def capacity(call: Call, concurrency: int, seconds: float) -> float:
    """Return the answers per second of `concurrency` callers without pauses, measured for some seconds."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def caller() -> None:
        await _one(call, outcome)
        while time.perf_counter() < end:
            await _one(call, outcome)

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return len(outcome.answers) / seconds


async def run_callers(call: Call, callers: int, enough: int) -> Outcome:
    """Run callers without pauses until there are `enough` answers and as many refusals."""
    outcome = Outcome()

    async def caller() -> None:
        while min(len(outcome.answers), outcome.failures.total()) < enough:
            outcome.sent += 1
            await _one(call, outcome)

    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(caller() for _ in range(callers)))
    return outcome


async def run_in_turn(call: Call, number: int) -> Outcome:
    """Send `number` calls, one after another."""
    outcome = Outcome()
    for _ in range(number):
        outcome.sent += 1
        await _one(call, outcome)
    return outcome


async def until_answered(call: Call) -> None:
    """Call until there is an answer. Raises TimeoutError."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            try:
                await call()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)
            else:
                return
