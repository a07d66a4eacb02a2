"""Overload: reviews are refused, and never decided without a score."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from agent_server.cases.rescoring import Rescoring, unscored_cases
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger, open_engine
from agent_server.policies.current import CurrentPolicy
from agent_server.scoring.client import ScoringClient
from ml_server.registry.bundle import Bundle
from ml_server.serving.running import ROLES, SERVICE
from ml_server.settings import MlSettings
from runtime.rpc.server import Server
from testing.calls import new_call
from testing.inputs.orders import message
from tests.agent.services.gated_scorer import GatedScorer, count_statuses, serve

pytestmark = pytest.mark.usefixtures("wide_limits")


@pytest.mark.parametrize("wire", [False, True])
async def test_a_flood_leaves_no_decision_without_a_score(wire: bool, model: Bundle, tmp_path: Path) -> None:
    """With more reviews than can be answered, refusals are RESOURCE_EXHAUSTED, and every decision has its score."""
    async with serve(model, tmp_path, wire, max_in_flight=4) as services:
        stuck = await count_statuses(*(services.review() for _ in range(300)))
        assert stuck == {"RESOURCE_EXHAUSTED": 300}
        assert services.scorer.called > 0
        assert services.client.breaker.closed
        services.scorer.gate.set()
        decided = 0
        async with asyncio.timeout(120):
            while decided < 100:  # as clients do: refused calls are retried
                codes = await count_statuses(*(services.review() for _ in range(100)))
                assert set(codes) <= {"OK", "RESOURCE_EXHAUSTED"}
                decided += codes["OK"]
        records = services.records()
    assert len(records) == decided
    assert not any(record.degraded or not record.answer.HasField("legitimacy_score") for record in records)


async def test_rescoring_gives_way_to_overload(model: Bundle, tmp_path: Path) -> None:
    """Cases without a score wait while the scorer accepts no batches, and are scored once it does."""
    async with serve(model, tmp_path, wire=False) as services:
        services.scorer.gate.set()
        services.scorer._batches = services.scorer._max_batches
        loaded, services.scorer._scorer = services.scorer._scorer, None
        assert await count_statuses(*(services.review() for _ in range(5))) == {"OK": 5}
        services.scorer._scorer = loaded
        ledger = Ledger(open_engine(services.url))
        rescoring = Rescoring(ledger, services.client, CurrentPolicy(Policy(0.7, 0.4)))
        assert await rescoring.score_next() is None
        assert len(await ledger.read(unscored_cases(10))) == 5
        services.scorer._batches = 0
        async with asyncio.timeout(60):
            while await ledger.read(unscored_cases(10)):  # the agent's own rescoring runs too
                await rescoring.score_next()
        ledger.close()


async def test_two_replicas_work_at_the_same_time(model: Bundle) -> None:
    """One agent has calls in flight at both of its scorers."""
    scorers = [GatedScorer(model) for _ in range(2)]
    settings = MlSettings.read(listen="127.0.0.1:0", metrics_listen="", lame_duck_seconds=0.0)
    async with contextlib.AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(Server(settings, {SERVICE: one}, roles=ROLES, handle_signals=False))
            for one in scorers
        ]
        for server in servers:
            await server.set_serving(True)
        addresses = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        client = ScoringClient.connect(f"ipv4:{addresses}", 60.0)
        calls = list[asyncio.Task[Any]]()
        async with asyncio.timeout(60):
            while not all(one.under_way for one in scorers):  # a second connection may come a moment later
                calls.append(asyncio.create_task(client.predict(message(), new_call())))
                await asyncio.sleep(0.02)
        for scorer in scorers:
            scorer.gate.set()
        assert all(answer.legitimacy_score > 0 for answer in await asyncio.gather(*calls))
        await client.close()


async def test_one_slow_call_delays_no_other_order(model: Bundle, tmp_path: Path) -> None:
    """While one call hangs, other reviews are decided, with their scores."""
    async with serve(model, tmp_path, wire=False) as services:
        services.client._timeout = 60.0
        slow = asyncio.create_task(services.review())
        async with asyncio.timeout(60):
            while not services.scorer.under_way:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        hanging, services.scorer.gate = services.scorer.gate, asyncio.Event()
        services.scorer.gate.set()
        assert await count_statuses(*(services.review() for _ in range(25))) == {"OK": 25}
        assert not slow.done()
        hanging.set()
        assert await slow == "OK"
        assert not any(record.degraded for record in services.records())
