"""Two scorers and two agents behind Envoy: one is killed and restarted repeatedly, and one hangs; no call may fail."""

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from agent_server.ledger import open_engine
from agent_server.ledger.schema import PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.client.channels import open_channel
from testing.inputs.orders import message
from testing.load import Call, Outcome, Traffic, until_answered
from testing.servers.replicas import Replica, agent, envoy, running, scorer
from testing.waiting import wait_for

BETWEEN = 60
"""Calls that are answered between a kill and the restart, and after it."""
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class ReplicaKillResult:
    """Results of the calls, the reviews without a decision in the ledger, and the reviews with more than one."""

    outcome: Outcome
    kills: int
    missing: int
    doubled: int


@dataclass(frozen=True)
class HangResult:
    """Seconds from the moment a replica hung until other calls were as fast as before, and the calls."""

    outcome: Outcome
    recovered_after: float


@contextlib.contextmanager
def serve_two_replicas(
    folder: Path, models: Path, ledger_url: str
) -> Iterator[tuple[list[Replica], list[Replica], str]]:
    """Start two scorers, two agents that use both, one ledger and one edge."""
    scorers = [scorer(folder, models) for _ in range(2)]
    both = "ipv4:" + ",".join(one.address for one in scorers)
    agents = [agent(folder, both, ledger_url=ledger_url) for _ in range(2)]
    for one in (*scorers, *agents):
        one.settings = {**one.settings, f"{one.prefix}MAX_IN_FLIGHT": "1024"}
    settings = {
        "VOUCH_EDGE_SCORERS": ",".join(one.address for one in scorers),
        "VOUCH_EDGE_AGENTS": ",".join(one.address for one in agents),
        "VOUCH_EDGE_WORKERS": "128",  # room for every call, also while the machine stalls
    }
    with running(*scorers, *agents), envoy(folder / "envoy.log", **settings) as address:
        for one in scorers:
            wait_for(one.serving, what="a scorer serving")
        for one in agents:
            wait_for(one.listening, what="an agent")
        yield scorers, agents, address


@contextlib.asynccontextmanager
async def score_and_review(address: str, seconds: float) -> AsyncIterator[Call]:
    """Send a score and a review in turn through the edge, with the retry policy that clients are advised to use."""
    numbers = itertools.count()
    async with open_channel(address) as channel:
        scores, reviews = ScoringServiceStub(channel), AgentServiceStub(channel)

        def call() -> Awaitable[pb.ReviewResponse | scoring.PredictResponse]:
            number = next(numbers)
            order = message(transaction_id=f"mixed-{number}", user_id=f"u-{number}")
            answer: Awaitable[pb.ReviewResponse | scoring.PredictResponse]
            if number % 2:
                answer = reviews.Review(pb.ReviewRequest(transaction=order), timeout=seconds)
            else:
                answer = scores.Predict(scoring.PredictRequest(transaction=order), timeout=seconds)
            return answer

        for _ in range(2):  # a score and a review
            await until_answered(call)
        yield call


async def kill_replicas(
    folder: Path, models: Path, ledger_url: str, kills: int, rate: float, between: int = BETWEEN
) -> ReplicaKillResult:
    """Kill scorers and agents in turn with -9 and restart them, under a steady rate of calls."""
    with serve_two_replicas(folder, models, ledger_url) as (scorers, agents, address):
        victims = itertools.cycle([agents[0], scorers[0], agents[1], scorers[1]])
        async with score_and_review(address, 20) as call, Traffic(call, rate) as traffic:
            await traffic.answers(between)
            for one in (*scorers, *agents):
                await asyncio.to_thread(wait_for, _has_answered(one), what="calls through the edge to each")
            for victim in itertools.islice(victims, kills):
                assert victim.process is not None
                victim.process.kill()
                await asyncio.to_thread(victim.process.wait)
                await traffic.answers(between)
                victim.start()
                await asyncio.to_thread(wait_for, _has_answered(victim), what="calls through the edge to it again")
                await traffic.answers(between)
    return ReplicaKillResult(traffic.outcome, kills, *_missing_and_doubled(ledger_url, traffic.outcome))


def _has_answered(replica: Replica) -> Callable[[], bool]:
    """Return whether a replica has received calls since its start; then the edge has found it healthy."""
    methods = ("Review", "Predict")
    return lambda: any(replica.metric("grpc_server_handled_total", grpc_method=name) > 0 for name in methods)


def _missing_and_doubled(ledger_url: str, outcome: Outcome) -> tuple[int, int]:
    reviewed = {answer.transaction_id for _, answer in outcome.answers if isinstance(answer, pb.ReviewResponse)}
    engine = open_engine(ledger_url)
    with engine.connect() as connection:
        counted = sa.select(PAYLOADS.c.transaction_id, sa.func.count()).group_by(PAYLOADS.c.transaction_id)
        records: dict[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
    engine.dispose()
    return len(reviewed - records.keys()), sum(count > 1 for count in records.values())


async def hang_a_replica(
    folder: Path,
    models: Path,
    ledger_url: str,
    rate: float,
    seconds: float = 8.0,
    between: int = BETWEEN,
    later: int = 0,
) -> HangResult:
    """Stop an agent while it works, and resume it later.

    It stays stopped for `seconds`, or, with `later`, until all earlier calls and that many later ones have ended.
    """
    with serve_two_replicas(folder, models, ledger_url) as (_, agents, address):
        async with score_and_review(address, 20) as call:
            ended: list[tuple[float, float]] = []
            numbers, under_way = itertools.count(), set[int]()

            async def timed() -> pb.ReviewResponse | scoring.PredictResponse:
                begun, number = time.monotonic(), next(numbers)
                under_way.add(number)
                try:
                    answer = await call()
                finally:
                    under_way.remove(number)
                ended.append((begun, time.monotonic() - begun))
                return answer  # type: ignore[return-value]

            async with Traffic(timed, rate) as traffic:
                await traffic.answers(2 * between)
                usual = sorted(took for _, took in ended)[int(len(ended) * 0.99)]
                agents[0].signal(signal.SIGSTOP)
                stopped = time.monotonic()
                last = traffic.outcome.sent + later
                if later:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        while traffic.outcome.sent < last or min(under_way, default=last) < last:
                            await asyncio.sleep(0.02)
                else:
                    await asyncio.sleep(seconds)
                agents[0].signal(signal.SIGCONT)
    slow = [begun for begun, took in ended if stopped <= begun < stopped + seconds and took > max(10 * usual, 0.5)]
    return HangResult(traffic.outcome, max(slow, default=stopped) - stopped)
