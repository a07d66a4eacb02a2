"""The scorer stops under load: nothing is approved without a score, answers stay fast, and all is rescored later."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_server.cases.rescoring import unscored_cases
from agent_server.ledger import open_engine
from generated.vouch.v1 import agent_service_pb2 as agent
from testing.load import Call, Outcome, Traffic, run_for_seconds
from testing.servers.clients import review
from testing.servers.replicas import agent as agent_replica
from testing.servers.replicas import running, scorer
from testing.waiting import wait_for

OPEN_AFTER_SECONDS = 2.0
"""Seconds until the breaker is open, after a handful of failed calls."""


@dataclass(frozen=True)
class Outage:
    """What callers got while the scorer was unavailable, and the seconds until recovery."""

    away: Outcome
    unseen_approvals: int
    degraded: int
    degraded_p99: float
    back_after: float
    scored_after: float


async def stop_scorer(folder: Path, models: Path, rate: float, seconds: float, answers: int = 0) -> Outage:
    """Send reviews at a rate; stop the scorer for some seconds, or for `answers` answers, and restart it."""
    behind = scorer(folder, models)
    front = agent_replica(folder, behind.address)
    with running(behind, front):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        await asyncio.to_thread(wait_for, front.listening, what="the agent listening")
        async with review(front.address) as call:
            async with Traffic(call, rate) as before:
                await before.answers(50)
            await asyncio.to_thread(behind.stop)
            if answers:
                opening, away = await _answered(call, rate, answers), await _answered(call, rate, answers)
            else:
                opening = await run_for_seconds(call, rate, min(OPEN_AFTER_SECONDS, seconds))
                away = await run_for_seconds(call, rate, seconds)
            behind.start()
            await asyncio.to_thread(wait_for, behind.serving, what="the scorer's return")
            returned = time.monotonic()
            back_after = await _until_scored(call, returned)
            scored_after = await asyncio.to_thread(_until_all_scored, folder, returned)
    found = _reviews([*opening.answers, *away.answers])
    whole = Outcome(
        opening.sent + away.sent,
        [*opening.answers, *away.answers],
        opening.failures + away.failures,
        [*opening.errors, *away.errors],
    )
    return Outage(
        away=whole,
        unseen_approvals=sum(
            answer.decision == agent.DECISION_APPROVE and not answer.HasField("legitimacy_score") for answer in found
        ),
        degraded=sum(answer.degraded for answer in found),
        degraded_p99=away.latency(0.99),
        back_after=back_after,
        scored_after=scored_after,
    )


def _reviews(answers: Sequence[tuple[float, object]]) -> list[agent.ReviewResponse]:
    return [answer for _, answer in answers if isinstance(answer, agent.ReviewResponse)]


async def _answered(call: Call, rate: float, answers: int) -> Outcome:
    async with Traffic(call, rate) as traffic:
        await traffic.answers(answers)
    return traffic.outcome


async def _until_scored(call: object, since: float) -> float:
    while True:
        answer = await call()  # type: ignore[operator]
        if not answer.degraded:
            return time.monotonic() - since
        await asyncio.sleep(0.02)


def _until_all_scored(folder: Path, since: float) -> float:
    engine = open_engine(f"sqlite:///{folder / 'chaos.db'}")

    def none_left() -> bool:
        with engine.connect() as connection:
            return not unscored_cases(1)(connection)

    wait_for(none_left, 60, "all degraded cases scored")
    engine.dispose()
    return time.monotonic() - since
