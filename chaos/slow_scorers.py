"""Scorers that are slow for some orders: others are scored meanwhile, and the scorers are not counted as failed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import (
    ScoringServiceServicer,
    ScoringServiceStub,
    add_ScoringServiceServicer_to_server,
)
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.load import Traffic
from testing.servers.clients import SCORING, order, review
from testing.servers.replicas import agent as agent_replica
from testing.servers.replicas import running, scorer
from testing.waiting import wait_for

_MARK = "slow-"
_PATIENCE = 60.0
_FAILED = "scorer failed"
"""The log event of an agent for each call that counts as a failure of the scorer."""


@dataclass
class SlowCallsResult:
    """Results. `refused`, `unscored`, `early` and `counted_failures` must be 0."""

    rounds: int
    meanwhile: int = 0
    """Orders that were answered while calls were held."""
    fewest_meanwhile: int = 0
    slow: int = 0
    """Orders that were held and answered at the end."""
    refused: int = 0
    unscored: int = 0
    early: int = 0
    """Slow orders that were answered while they were held: then they were not slow."""
    counted_failures: int = 0


class _HoldingScorer(ScoringServiceServicer):
    """Forwards calls to a scorer. Those with a marked order wait for the gate first."""

    def __init__(self, behind: ScoringServiceStub) -> None:
        self._behind, self._open, self.held = behind, asyncio.Event(), 0

    async def Predict(self, request: scoring.PredictRequest, context: object) -> scoring.PredictResponse:
        """Score one order."""
        await self._wait([request.transaction])
        response: scoring.PredictResponse = await self._behind.Predict(request)
        return response

    async def PredictBatch(self, request: scoring.PredictBatchRequest, context: object) -> scoring.PredictBatchResponse:
        """Score several orders."""
        await self._wait(request.transactions)
        response: scoring.PredictBatchResponse = await self._behind.PredictBatch(request)
        return response

    def close(self) -> None:
        """Hold marked calls from now on."""
        self._open, self.held = asyncio.Event(), 0

    def open(self) -> None:
        """Release all held calls."""
        self._open.set()

    async def _wait(self, orders: Sequence[Transaction]) -> None:
        if any(one.transaction_id.startswith(_MARK) for one in orders):
            self.held += 1
            await self._open.wait()


@contextlib.asynccontextmanager
async def _replicas(address: str, number: int) -> AsyncIterator[tuple[_HoldingScorer, str]]:
    """Start servers that hold marked calls in front of one scorer; return their shared gate and one target for all."""
    servicer = health.aio.HealthServicer()
    await servicer.set(SCORING, health_pb2.HealthCheckResponse.SERVING)
    async with grpc.aio.insecure_channel(address) as channel, contextlib.AsyncExitStack() as stack:
        holding, ports = _HoldingScorer(ScoringServiceStub(channel)), []
        for _ in range(number):
            server = grpc.aio.server()
            add_ScoringServiceServicer_to_server(holding, server)
            add_HealthServicer_to_server(servicer, server)
            ports.append(server.add_insecure_port("127.0.0.1:0"))
            await server.start()
            stack.push_async_callback(server.stop, None)
        yield holding, "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)


async def hold_scorer_calls(
    folder: Path, models: Path, rounds: int, rate: float, *, at_once: int = 1, replicas: int = 2, answers: int = 50,
    seconds: float = 0.0, scorer_timeout: float = 60.0,
) -> SlowCallsResult:  # fmt: skip
    """Send reviews at a rate; in each round hold some calls to the scorer.

    They are held until `answers` other orders were answered, and for `seconds` at least. `scorer_timeout` is the
    agent's timeout for the scorer, in seconds.
    """
    behind, result = scorer(folder, models), SlowCallsResult(rounds)
    async with _replicas(behind.address, replicas) as (holding, target):
        front = agent_replica(folder, target)
        front.settings = {**front.settings, "VOUCH_AGENT_SCORER_TIMEOUT_SECONDS": f"{scorer_timeout:g}"}
        front.settings = {**front.settings, "VOUCH_AGENT_MAX_IN_FLIGHT": "1024"}
        with running(behind, front):
            await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
            await asyncio.to_thread(wait_for, front.listening, what="the agent listening")
            async with (
                grpc.aio.insecure_channel(front.address) as channel,
                review(front.address) as call,
                Traffic(call, rate) as traffic,
            ):
                await traffic.answers(answers)
                counts = []
                for number in range(rounds):
                    slow = await _hold(holding, AgentServiceStub(channel), number, at_once)
                    before, begun = len(traffic.outcome.answers), time.monotonic()
                    await traffic.answers(answers)
                    await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))
                    counts.append(len(traffic.outcome.answers) - before)
                    result.early += sum(task.done() for task in slow)
                    holding.open()
                    answered = await asyncio.gather(*slow, return_exceptions=True)
                    result.refused += sum(isinstance(one, BaseException) for one in answered)
                    reviews = [one for one in answered if isinstance(one, pb.ReviewResponse)]
                    result.slow += len(reviews)
                    result.unscored += sum(not one.HasField("legitimacy_score") for one in reviews)
    result.meanwhile, result.fewest_meanwhile = sum(counts), min(counts)
    result.refused += traffic.outcome.failures.total() + traffic.outcome.lost
    answered_reviews = [one for _, one in traffic.outcome.answers if isinstance(one, pb.ReviewResponse)]
    result.unscored += sum(not one.HasField("legitimacy_score") for one in answered_reviews)
    result.counted_failures = front.log.read_text().count(_FAILED)
    return result


async def _hold(
    holding: _HoldingScorer, stub: AgentServiceStub, number: int, at_once: int
) -> "list[asyncio.Task[pb.ReviewResponse]]":
    """Send marked orders, each in its own call to the scorer, and wait until all are held."""
    holding.close()
    slow: list[asyncio.Task[pb.ReviewResponse]] = []
    for place in range(at_once):
        request = pb.ReviewRequest(transaction=order(f"{_MARK}{number}-{place}"))
        slow.append(asyncio.ensure_future(stub.Review(request, timeout=_PATIENCE)))
        async with asyncio.timeout(_PATIENCE):
            while holding.held <= place:
                await asyncio.sleep(0.005)
    return slow
