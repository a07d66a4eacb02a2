"""Open-loop load: calls begin when they are due, whether or not earlier ones were answered, and nothing is forgotten."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import Message

Call = Callable[[], Awaitable[Message]]


@dataclass
class Outcome:
    """What became of every call: answers with their latencies, failures by code."""

    sent: int = 0
    answers: list[tuple[float, Message]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    errors: list[grpc.aio.AioRpcError] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Calls that were neither answered nor failed."""
        return self.sent - len(self.answers) - self.failures.total()

    def latency(self, share: float) -> float:
        """A quantile of the seconds that answered calls took."""
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


async def stream(call: Call, rate: float, until: asyncio.Event) -> Outcome:
    """Calls at a rate until told to end; then waits for all of them."""
    outcome, tasks, begun = Outcome(), set(), time.perf_counter()
    while not until.is_set():
        while outcome.sent < (time.perf_counter() - begun) * rate:
            task = asyncio.create_task(_one(call, outcome))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            outcome.sent += 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    return outcome


async def for_seconds(call: Call, rate: float, seconds: float) -> Outcome:
    """Calls at a rate for some seconds."""
    until = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, until.set)
    return await stream(call, rate, until)


async def capacity(call: Call, concurrency: int, seconds: float) -> float:
    """Answers a second when `concurrency` callers each ask again as soon as they are answered."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def caller() -> None:
        while time.perf_counter() < end:
            await _one(call, outcome)

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return len(outcome.answers) / seconds
