"""Failed calls to the scorer: which count as failures, and reviews without counterfactuals."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from agent_server.scoring.breaker import CircuitBreaker
from agent_server.scoring.client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from ml_server.registry.bundle import Bundle
from runtime.errors import Overloaded, Unavailable
from testing.calls import new_call
from testing.inputs.orders import message
from tests.agent.services.gated_scorer import count_statuses, serve

pytestmark = pytest.mark.usefixtures("wide_limits")


@pytest.mark.parametrize("wire", [False, True])
async def test_a_hanging_scorer_is_decided_without(wire: bool, model: Bundle, tmp_path: Path) -> None:
    """If the scorer hangs and its health is not SERVING, orders become cases without a score."""
    async with serve(model, tmp_path, wire) as services:
        await services.scorer_server.set_serving(False)
        codes = await count_statuses(*(services.review() for _ in range(20)))
        assert codes == {"OK": 20}
        assert all(record.degraded for record in services.records())
        assert len(services.records()) == 20


async def test_a_scorer_without_a_model_is_decided_without(model: Bundle, tmp_path: Path) -> None:
    """A scorer that refuses for lack of a model is unavailable, not overloaded."""
    async with serve(model, tmp_path, wire=False) as services:
        services.scorer.gate.set()
        services.scorer._scorer = None
        assert await count_statuses(*(services.review() for _ in range(20))) == {"OK": 20}
        assert all(record.degraded for record in services.records())


async def test_advice_neither_blocks_orders_nor_counts(model: Bundle, tmp_path: Path) -> None:
    """Refused, late or broken advice leaves the review unchanged, the breaker closed, and few calls in flight."""
    async with serve(model, tmp_path, wire=False) as services:
        orders = [message(transaction_id=f"a{number}") for number in range(3)]
        late = [asyncio.create_task(services.client.predict_candidates(orders, 0.05)) for _ in range(20)]
        await asyncio.sleep(0)
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {Overloaded, Unavailable}
        assert services.scorer.called <= 20
        assert services.client.breaker._failures == 0
        services.scorer.gate.set()
        services.scorer._batches = services.scorer._max_batches  # as if the scorer were at its limit
        with pytest.raises(Overloaded):
            await services.client.predict_candidates(orders, 60)
        with pytest.raises(Overloaded):
            await services.client.predict_many(orders)
        services.scorer._batches = 0
        assert [one is not None for one in await services.client.predict_candidates(orders, 60)] == [True] * 3
        assert await services.review() == "OK"


class UnreachableScorer:
    """A scorer that cannot be reached."""

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
    """A failed call is one failure, however many orders wait for it; the breaker opens after its limit of calls."""
    scorer = UnreachableScorer()
    client = ScoringClient(scorer, None, 2.0, breaker=CircuitBreaker(max_failures=5))
    outcomes = await asyncio.gather(
        *(client.predict(message(transaction_id=str(number)), new_call()) for number in range(40)),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert len({id(outcome) for outcome in outcomes}) == 40
    assert client.breaker._failures == scorer.calls
    assert scorer.calls <= 4
    assert client.breaker.closed
    while client.breaker.closed:
        with pytest.raises(Unavailable):
            await client.predict(message(), new_call())
    assert scorer.calls == 5


async def test_refusals_are_no_failures() -> None:
    """RESOURCE_EXHAUSTED raises Overloaded for each order, and closes the breaker, since the scorer is up."""
    scorer = UnreachableScorer()
    client = ScoringClient(scorer, None, 2.0, breaker=CircuitBreaker(max_failures=1, retry_seconds=0.0))
    with pytest.raises(Unavailable):
        await client.predict(message(), new_call())
    assert not client.breaker.closed
    scorer.code = grpc.StatusCode.RESOURCE_EXHAUSTED
    calls = (client.predict(message(transaction_id=str(number)), new_call()) for number in range(40))
    assert {type(one) for one in await asyncio.gather(*calls, return_exceptions=True)} == {Overloaded}
    assert client.breaker.closed


async def test_a_review_goes_without_advice_at_the_limit(model: Bundle, tmp_path: Path) -> None:
    """While the scorer accepts no batches, an order is reviewed with its score and without counterfactuals."""
    between = {"deny_threshold": 0.0, "approve_threshold": 1.0}
    async with serve(model, tmp_path, wire=False, of_agent=between) as services:
        services.scorer.gate.set()
        services.scorer._batches = services.scorer._max_batches
        assert await services.review() == "OK"
        services.scorer._batches = 0
        (record,) = services.records()
        assert record.decision == pb.DECISION_REVIEW
        assert record.answer.HasField("legitimacy_score")
        assert not record.degraded
        assert services.client.breaker._failures == 0
