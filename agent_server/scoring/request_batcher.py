"""Sends orders to the scorer in batches: those that arrive while calls are under way go out together.

An order that arrives alone is sent at once. Up to `max_batches` calls are under way at a time, so that one slow call holds up
only its own orders. Each order keeps its own deadline, request id and error.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

LARGEST: Final = 64
"""Most orders of one call: more would keep the first of them waiting for the last."""
MAX_BATCHES: Final = 4
MOST_PENDING: Final = 16 * LARGEST
ENOUGH: Final = 16
"""Orders for which a further call is made at once, though others are under way: fewer wait for more to join them."""
LINGER_SECONDS: Final = 0.005
"""Longest wait of an order for others to join it, while fewer than `max_batches` calls are under way."""


@dataclass(frozen=True)
class PendingRequest:
    """An order that waits for its score. Both times are of the loop's clock."""

    transaction: Transaction
    request_id: str
    submitted: float
    deadline: float
    answer: "asyncio.Future[PredictResponse]"


class Unreachable(Exception):
    """The scorer cannot be reached: orders that wait for the next call need not find that out one call after another."""


class QueueFull(Exception):
    """Too many orders wait already."""


class BatchFailed(Exception):
    """The call of an order's batch failed, with `error`. Each order of the batch gets one of its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.__cause__ = error


Score = Callable[[Sequence[PendingRequest]], Awaitable[Sequence[PredictResponse | Exception]]]
"""Scores a batch: an answer or an error for each order. Raises what is wrong with all of them: Unreachable, for example."""


class RequestBatcher:
    """Collects orders into batches and hands these to `score`, up to `max_batches` at a time."""

    def __init__(self, score: Score, max_batches: int = MAX_BATCHES) -> None:
        self._score, self._max_batches = score, max_batches
        self._pending: list[PendingRequest] = []
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def predict(self, transaction: Transaction, request_id: str, seconds: float) -> PredictResponse:
        """Return the score of one order.

        Raises TimeoutError after `seconds`, QueueFull, BatchFailed where the call failed as a whole, and what `score` says of
        this order alone.
        """
        if len(self._pending) >= MOST_PENDING:
            self._pending = [request for request in self._pending if not request.answer.done()]
            if len(self._pending) >= MOST_PENDING:
                raise QueueFull
        loop = asyncio.get_running_loop()
        now = loop.time()
        request = PendingRequest(transaction, request_id, now, now + seconds, loop.create_future())
        self._pending.append(request)
        self._dispatch()
        async with asyncio.timeout_at(request.deadline):
            return await request.answer

    def _dispatch(self) -> None:
        """Start as many batches as are due."""
        loop = asyncio.get_running_loop()
        while self._pending and len(self._running) < self._max_batches:
            due = self._pending[0].submitted + LINGER_SECONDS
            if self._running and len(self._pending) < ENOUGH and loop.time() < due:
                if self._timer is None:
                    self._timer = loop.call_at(due, self._linger_over)
                return
            self._start(loop)

    def _linger_over(self) -> None:
        self._timer = None
        self._dispatch()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start a batch of the oldest orders. Those whose caller has gone or whose time is over are left out."""
        now = loop.time()
        oldest = self._pending[:LARGEST]
        del self._pending[:LARGEST]
        batch = [request for request in oldest if not request.answer.done() and request.deadline > now]
        if batch:
            task = loop.create_task(self._run_batch(batch))
            self._running.add(task)
            task.add_done_callback(lambda task: self._batch_done(task, batch))

    async def _run_batch(self, batch: Sequence[PendingRequest]) -> None:
        try:
            answers = await self._score(batch)
        except Exception as error:
            _fail(batch, error)
            if isinstance(error, Unreachable):
                _fail(self._pending, error)
                self._pending.clear()
            return
        for request, answer in zip(batch, answers, strict=True):
            if not request.answer.done():
                if isinstance(answer, Exception):
                    request.answer.set_exception(answer)
                else:
                    request.answer.set_result(answer)

    def _batch_done(self, task: "asyncio.Task[None]", batch: Sequence[PendingRequest]) -> None:
        """Fail whoever is left without an answer, as where the task was cancelled, and start what waits."""
        self._running.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        _fail(batch, error or asyncio.CancelledError())
        self._dispatch()


def _fail(requests: Sequence[PendingRequest], error: BaseException) -> None:
    """Fail all that have no answer yet, each with an exception of its own: a shared one would grow with every traceback."""
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(BatchFailed(error))
