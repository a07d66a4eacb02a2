"""Orders sent to the scorer in batches: each keeps its deadline and error, a slow call delays only its own orders."""

import asyncio
from collections.abc import Sequence

import pytest

from agent_server.scoring import request_batcher as gathering
from agent_server.scoring.request_batcher import (
    MAX_BATCH_SIZE,
    BatchFailed,
    PendingRequest,
    QueueFull,
    RequestBatcher,
    Unreachable,
)
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.inputs.orders import message


class Scorer:
    """Answers a call when its gate is open; `calls` has the request ids of each."""

    def __init__(self, *, opened: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.gates: list[asyncio.Event] = []
        self.most, self._running, self._opened = 0, 0, opened

    async def __call__(self, batch: Sequence[PendingRequest]) -> Sequence[PredictResponse | Exception]:
        """Score, once the gate of this call is open."""
        self.calls.append([request.request_id for request in batch])
        self.gates.append(asyncio.Event())
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            if not self._opened:
                await self.gates[-1].wait()
        finally:
            self._running -= 1
        return [
            ValueError(request.request_id) if request.request_id.startswith("bad") else
            PredictResponse(transaction_id=request.request_id)
            for request in batch
        ]  # fmt: skip

    def open(self) -> None:
        """Open all gates from now on."""
        self._opened = True
        for gate in self.gates:
            gate.set()

    async def called(self, times: int) -> None:
        """Wait until there were `count` calls."""
        async with asyncio.timeout(60):
            while len(self.calls) < times:  # noqa: ASYNC110  no event tells it
                await asyncio.sleep(0.001)


def ask(batcher: RequestBatcher, request_id: str, seconds: float = 60.0) -> "asyncio.Task[PredictResponse]":
    """Request the score of an order."""
    return asyncio.create_task(batcher.predict(message(), request_id, seconds))


async def settle() -> None:
    """Run all tasks until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_order_is_sent_alone_and_the_others_in_a_batch() -> None:
    """The first order is sent alone, later ones in one batch; each gets its own answer or error."""
    scorer = Scorer()
    batcher = RequestBatcher(scorer, max_batches=1)
    waiting = [ask(batcher, name) for name in ("a", "b", "bad", "c")]
    await settle()
    assert scorer.calls == [["a"]]
    scorer.open()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert scorer.calls == [["a"], ["b", "bad", "c"]]
    assert [getattr(answer, "transaction_id", None) for answer in answers] == ["a", "b", None, "c"]
    assert isinstance(answers[2], ValueError)


async def test_a_slow_call_holds_up_only_its_own() -> None:
    """While one call hangs, orders that arrive meanwhile are answered, few or many."""
    scorer = Scorer()
    batcher = RequestBatcher(scorer, max_batches=2)
    slow = ask(batcher, "slow")
    await scorer.called(1)
    scorer._opened = True
    for number in range(50):
        assert (await ask(batcher, f"one {number}")).transaction_id == f"one {number}"
    await asyncio.gather(*(ask(batcher, str(number)) for number in range(1000)))
    assert not slow.done()
    scorer.open()
    await slow


async def test_calls_under_way_are_bounded_and_batches_grow() -> None:
    """The number of calls in flight is limited for any number of orders; waiting ones share few calls."""
    scorer = Scorer()
    batcher = RequestBatcher(scorer, max_batches=3)
    waiting = [ask(batcher, str(number)) for number in range(1000)]
    await scorer.called(3)
    await settle()
    assert len(scorer.calls) == 3
    scorer.open()
    answers = await asyncio.gather(*waiting)
    assert [answer.transaction_id for answer in answers] == [str(number) for number in range(1000)]
    assert scorer.most == 3
    assert max(map(len, scorer.calls)) == MAX_BATCH_SIZE
    assert len(scorer.calls) <= 3 + -(-1000 // MAX_BATCH_SIZE)


async def test_an_unreachable_scorer_fails_waiting_orders_too() -> None:
    """A call that cannot connect also fails the orders waiting for the next one, each with its own exception."""
    calls, go = [], asyncio.Event()

    async def unreachable(batch: Sequence[PendingRequest]) -> Sequence[PredictResponse | Exception]:
        calls.append(len(batch))
        await go.wait()
        raise Unreachable

    batcher = RequestBatcher(unreachable, max_batches=1)
    waiting = [ask(batcher, str(number)) for number in range(5)]
    await settle()
    go.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert calls == [1]
    failures = [answer for answer in answers if isinstance(answer, BatchFailed)]
    assert [type(failure.error) for failure in failures] == [Unreachable] * 5
    assert len({id(failure) for failure in failures}) == 5


async def test_each_keeps_its_deadline() -> None:
    """An order past its deadline fails and is not sent; the others are answered."""
    scorer = Scorer()
    batcher = RequestBatcher(scorer, max_batches=1)
    first, late, patient = ask(batcher, "first"), ask(batcher, "late", 0.01), ask(batcher, "patient")
    with pytest.raises(TimeoutError):
        await late
    scorer.open()
    assert [(await first).transaction_id, (await patient).transaction_id] == ["first", "patient"]
    assert scorer.calls == [["first"], ["patient"]]


async def test_a_cancelled_order_affects_no_other() -> None:
    """A cancelled order is left out; a call that fails as a whole fails its own orders, and the next one succeeds."""
    scorer = Scorer()
    batcher = RequestBatcher(scorer, max_batches=1)
    first, gone, stays = (ask(batcher, name) for name in ("first", "gone", "stays"))
    await settle()
    gone.cancel()
    await settle()
    scorer.open()
    assert [(await first).transaction_id, (await stays).transaction_id] == ["first", "stays"]
    assert scorer.calls == [["first"], ["stays"]]

    async def broken(batch: Sequence[PendingRequest]) -> Sequence[PredictResponse | Exception]:
        raise ConnectionError

    failing = RequestBatcher(broken)
    results = await asyncio.gather(*(ask(failing, str(n)) for n in range(5)), return_exceptions=True)
    assert [isinstance(result, BatchFailed) and type(result.error) for result in results] == [ConnectionError] * 5


@pytest.mark.parametrize("dies", ["cancelled", "short", "exits"])
async def test_orders_of_a_batch_that_dies_do_not_hang(dies: str) -> None:
    """If the task of a batch dies, its orders fail at once, and the waiting orders are scored."""
    scorer = Scorer()

    async def mortal(batch: Sequence[PendingRequest]) -> Sequence[PredictResponse | Exception]:
        answers = await scorer(batch)
        if batch[0].request_id != "first":
            return answers
        if dies == "cancelled":
            raise asyncio.CancelledError
        if dies == "exits":
            raise BaseExceptionGroup("end", [KeyError()])
        return []

    batcher = RequestBatcher(mortal, max_batches=1)
    first, second = ask(batcher, "first"), ask(batcher, "second")
    await scorer.called(1)
    scorer.open()
    with pytest.raises(BatchFailed):
        await first
    assert (await second).transaction_id == "second"


async def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that finds a full queue is refused at once; the others are answered."""
    monkeypatch.setattr(gathering, "MAX_PENDING", 3)
    scorer = Scorer()
    batcher = RequestBatcher(scorer, max_batches=1)
    waiting = [ask(batcher, str(number)) for number in range(5)]
    await settle()
    with pytest.raises(QueueFull):
        await waiting[4]
    scorer.open()
    assert [(await one).transaction_id for one in waiting[:4]] == list("0123")
