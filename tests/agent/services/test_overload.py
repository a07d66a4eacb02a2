"""Overload is refused and never decided without a score; a scorer that is unavailable still is decided without one."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import pytest

from agent_server.cases.rescoring import Rescoring, unscored_cases
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import DecisionFilter, record_page
from agent_server.policies.current import CurrentPolicy
from agent_server.running import AGENT, running
from agent_server.scoring.breaker import Breaker
from agent_server.scoring.client import ScoringClient
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2 as scoring
from ml_server.registry.bundle import Bundle
from ml_server.serving.running import ROLES, SERVICE
from ml_server.serving.service import ScoringService
from ml_server.settings import MlSettings
from runtime.errors import Overloaded, Unavailable
from runtime.rpc.call import Call
from runtime.rpc.local import LocalHealth
from runtime.rpc.server import Server
from testing.inputs.orders import message
from testing.ledger.templates import new_ledger

TIMEOUT = 0.3
"""Of the scorer, in seconds. What has to be late waits for a closed gate, so that no speed of a machine matters."""


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine must not make health checks or writes late."""
    monkeypatch.setattr("agent_server.scoring.client.HEALTH_SECONDS", 60.0)
    monkeypatch.setattr("agent_server.ledger.writer.PATIENCE_SECONDS", 60.0)


class GatedScorer(ScoringService):
    """A scorer that answers only while its gate is open, and counts the calls under way."""

    def __init__(self, model: Bundle) -> None:
        super().__init__()
        self.serve(model)
        self.gate, self.under_way, self.called = asyncio.Event(), 0, 0

    async def _wait(self) -> None:
        self.called += 1
        self.under_way += 1
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1

    async def Predict(self, request: scoring.PredictRequest, call: Call) -> scoring.PredictResponse:
        """Score one order."""
        await self._wait()
        return await super().Predict(request, call)

    async def PredictBatch(self, request: scoring.PredictBatchRequest, call: Call) -> scoring.PredictBatchResponse:
        """Score a batch."""
        await self._wait()
        return await super().PredictBatch(request, call)


class _NoContext:
    """The context of a call without deadline or metadata."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> None:
        return None


def a_call() -> Call:
    """A call from nobody."""
    context: Any = _NoContext()
    return Call(context)


class Setup:
    """A gated scorer and an agent on top of it, in one process."""

    def __init__(self, scorer: GatedScorer, scorer_server: Server, agent: Server, client: ScoringClient, url: str):
        self.scorer, self.scorer_server, self.agent, self.client, self.url = scorer, scorer_server, agent, client, url
        self._number = 0

    async def review(self, **fields: Any) -> str:
        """Review a new order; the status."""
        self._number += 1
        stub: Any = self.agent.stub(AGENT)
        order = message(transaction_id=f"order-{self._number}", **fields)
        try:
            await stub.Review(pb.ReviewRequest(transaction=order), timeout=60)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    def records(self) -> list[pb.DecisionRecord]:
        """All decisions of the ledger."""
        engine = open_engine(self.url)
        with engine.connect() as connection:
            found, after = list[pb.DecisionRecord](), 0
            while True:
                page, following = record_page(DecisionFilter(), after, 500)(connection)
                found += page
                if not following:
                    break
                after = following
        engine.dispose()
        return found


@contextlib.asynccontextmanager
async def setup(
    model: Bundle, folder: Path, wire: bool, of_agent: Mapping[str, Any] = MappingProxyType({}), **of_scorer: Any
) -> AsyncIterator[Setup]:
    """The agent reaches its scorer in this process, as in `vouch serve`, or over a connection."""
    scorer, url = GatedScorer(model), new_ledger(folder / "ledger.db")
    ml = MlSettings.read(listen="127.0.0.1:0", metrics_listen="", lame_duck_seconds=0.0, drain_seconds=0.0, **of_scorer)
    settings = AgentSettings.read(
        listen="127.0.0.1:0", metrics_listen="", lame_duck_seconds=0.0, ledger_url=url, **of_agent,
    )  # fmt: skip
    async with Server(ml, {SERVICE: scorer}, roles=ROLES, handle_signals=False) as server:
        await server.set_serving(True)
        if wire:
            client = ScoringClient.reaching(f"127.0.0.1:{server.port}", TIMEOUT)
        else:
            client = ScoringClient(server.stub(SERVICE), LocalHealth(server.health), TIMEOUT)
        async with running(settings, handle_signals=False, scoring=client) as agent:
            yield Setup(scorer, server, agent, client, url)
            scorer.gate.set()


async def gathered(*asked: Awaitable[str]) -> Counter[str]:
    """How often each status was the answer."""
    return Counter(await asyncio.gather(*asked))


@pytest.mark.parametrize("wire", [False, True])
async def test_a_flood_leaves_no_decision_without_a_score(wire: bool, model: Bundle, tmp_path: Path) -> None:
    """Far more reviews than are answered in time: each refusal is RESOURCE_EXHAUSTED, and every decision has its score."""
    async with setup(model, tmp_path, wire, max_in_flight=4) as here:
        stuck = await gathered(*(here.review() for _ in range(300)))
        assert stuck == {"RESOURCE_EXHAUSTED": 300}
        assert here.scorer.called > 0
        assert here.client.breaker.closed
        here.scorer.gate.set()
        decided = 0
        async with asyncio.timeout(120):
            while decided < 100:  # as clients do: those that are refused come again
                codes = await gathered(*(here.review() for _ in range(100)))
                assert set(codes) <= {"OK", "RESOURCE_EXHAUSTED"}
                decided += codes["OK"]
        records = here.records()
    assert len(records) == decided
    assert not any(record.degraded or not record.answer.HasField("legitimacy_score") for record in records)


@pytest.mark.parametrize("wire", [False, True])
async def test_a_dead_scorer_is_decided_without(wire: bool, model: Bundle, tmp_path: Path) -> None:
    """Where the scorer hangs and its health does not say that it serves, orders go to people without a score."""
    async with setup(model, tmp_path, wire) as here:
        await here.scorer_server.set_serving(False)
        codes = await gathered(*(here.review() for _ in range(20)))
        assert codes == {"OK": 20}
        assert all(record.degraded for record in here.records())
        assert len(here.records()) == 20


async def test_a_scorer_without_a_model_is_decided_without(model: Bundle, tmp_path: Path) -> None:
    """A scorer that refuses for want of a model is unavailable, not overloaded."""
    async with setup(model, tmp_path, wire=False) as here:
        here.scorer.gate.set()
        here.scorer._scorer = None
        assert await gathered(*(here.review() for _ in range(20))) == {"OK": 20}
        assert all(record.degraded for record in here.records())


async def test_advice_neither_takes_the_place_of_orders_nor_counts(model: Bundle, tmp_path: Path) -> None:
    """Refused, late or broken advice leaves the review as it is, the breaker closed, and few calls under way."""
    async with setup(model, tmp_path, wire=False) as here:
        orders = [message(transaction_id=f"a{number}") for number in range(3)]
        late = [asyncio.create_task(here.client.advise(orders, 0.05)) for _ in range(20)]
        await asyncio.sleep(0)
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {Overloaded, Unavailable}
        assert here.scorer.called <= 20
        assert here.client.breaker._failures == 0
        here.scorer.gate.set()
        here.scorer._batches = here.scorer._max_batches  # as if all places were taken
        with pytest.raises(Overloaded):
            await here.client.advise(orders, 60)
        with pytest.raises(Overloaded):
            await here.client.predict_many(orders)
        here.scorer._batches = 0
        assert [one is not None for one in await here.client.advise(orders, 60)] == [True] * 3
        assert await here.review() == "OK"


class Blip:
    """A scorer that nobody reaches."""

    def __init__(self) -> None:
        self.calls, self.code = 0, grpc.StatusCode.UNAVAILABLE

    def _fails(self) -> grpc.aio.AioRpcError:
        self.calls += 1
        return grpc.aio.AioRpcError(self.code, grpc.aio.Metadata(), grpc.aio.Metadata(), "blip")

    async def Predict(self, request: Any, **how: Any) -> Any:
        """Fail after a moment."""
        await asyncio.sleep(0.01)
        raise self._fails()

    async def PredictBatch(self, request: Any, **how: Any) -> Any:
        """Fail at once."""
        raise self._fails()


async def test_a_failed_call_counts_once() -> None:
    """However many orders wait for a call, its failure is one; the breaker opens after that many calls, not orders."""
    blip = Blip()
    client = ScoringClient(blip, None, 2.0, breaker=Breaker(most=5))
    outcomes = await asyncio.gather(
        *(client.predict(message(transaction_id=str(number)), a_call()) for number in range(40)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert len({id(outcome) for outcome in outcomes}) == 40
    assert client.breaker._failures == blip.calls
    assert blip.calls <= 4
    assert client.breaker.closed
    while client.breaker.closed:
        with pytest.raises(Unavailable):
            await client.predict(message(), a_call())
    assert blip.calls == 5


async def test_refusals_are_no_failures() -> None:
    """RESOURCE_EXHAUSTED is Overloaded for each order, and closes the breaker: somebody is there."""
    blip = Blip()
    client = ScoringClient(blip, None, 2.0, breaker=Breaker(most=1, pause=0.0))
    with pytest.raises(Unavailable):
        await client.predict(message(), a_call())
    assert not client.breaker.closed
    blip.code = grpc.StatusCode.RESOURCE_EXHAUSTED
    asked = (client.predict(message(transaction_id=str(number)), a_call()) for number in range(40))
    assert {type(one) for one in await asyncio.gather(*asked, return_exceptions=True)} == {Overloaded}
    assert client.breaker.closed


async def test_a_review_goes_without_advice_where_there_is_no_room(model: Bundle, tmp_path: Path) -> None:
    """An order for people is decided with its score, and without counterfactuals, while the scorer takes no batches."""
    between = {"deny_threshold": 0.0, "approve_threshold": 1.0}
    async with setup(model, tmp_path, wire=False, of_agent=between) as here:
        here.scorer.gate.set()
        here.scorer._batches = here.scorer._max_batches
        assert await here.review() == "OK"
        here.scorer._batches = 0
        (record,) = here.records()
        assert record.decision == pb.DECISION_REVIEW
        assert record.answer.HasField("legitimacy_score")
        assert not record.degraded
        assert here.client.breaker._failures == 0


async def test_rescoring_gives_way_to_overload(model: Bundle, tmp_path: Path) -> None:
    """Cases without a score wait while the scorer takes no batches, and are scored once it does."""
    async with setup(model, tmp_path, wire=False) as here:
        here.scorer.gate.set()
        here.scorer._batches = here.scorer._max_batches
        loaded, here.scorer._scorer = here.scorer._scorer, None
        assert await gathered(*(here.review() for _ in range(5))) == {"OK": 5}
        here.scorer._scorer = loaded
        ledger = Ledger(open_engine(here.url))
        rescoring = Rescoring(ledger, here.client, CurrentPolicy(Policy(0.7, 0.4)))
        assert await rescoring.score_next() is None
        assert len(await ledger.read(unscored_cases(10))) == 5
        here.scorer._batches = 0
        async with asyncio.timeout(60):
            while await ledger.read(unscored_cases(10)):  # the agent's own rescoring is at work too
                await rescoring.score_next()
        ledger.close()


async def test_two_replicas_work_at_the_same_time(model: Bundle) -> None:
    """One agent has calls under way at both of its scorers."""
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
        client = ScoringClient.reaching(f"ipv4:{addresses}", 60.0)
        asked = list[asyncio.Task[Any]]()
        async with asyncio.timeout(60):
            while not all(one.under_way for one in scorers):  # a second connection may come a moment later
                asked.append(asyncio.create_task(client.predict(message(), a_call())))
                await asyncio.sleep(0.02)
        for scorer in scorers:
            scorer.gate.set()
        assert all(answer.legitimacy_score > 0 for answer in await asyncio.gather(*asked))
        await client.close()


async def test_one_slow_call_delays_no_other_order(model: Bundle, tmp_path: Path) -> None:
    """While one call hangs, the reviews that come meanwhile are decided, with their scores."""
    async with setup(model, tmp_path, wire=False) as here:
        here.client._timeout = 60.0
        slow = asyncio.create_task(here.review())
        async with asyncio.timeout(60):
            while not here.scorer.under_way:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        hanging, here.scorer.gate = here.scorer.gate, asyncio.Event()
        here.scorer.gate.set()
        assert await gathered(*(here.review() for _ in range(25))) == {"OK": 25}
        assert not slow.done()
        hanging.set()
        assert await slow == "OK"
        assert not any(record.degraded for record in here.records())
