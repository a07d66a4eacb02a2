"""Sends orders to the scorer in batches: orders that arrive while calls are in flight are sent together.

An order that arrives alone is sent at once. Up to `max_batches` calls are in flight at a time, so that a slow call
delays only its own orders. Each order keeps its own deadline, request id and error.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

MAX_BATCH_SIZE: Final = 64
"""Maximum number of orders per call: a larger batch would delay its first orders."""
MAX_BATCHES: Final = 4
MAX_PENDING: Final = 16 * MAX_BATCH_SIZE
EAGER_BATCH_SIZE: Final = 16
"""Number of waiting orders that start another call at once while calls are in flight; fewer orders wait for more."""
LINGER_SECONDS: Final = 0.005
"""Maximum time that an order waits for others to join its batch, while fewer than `max_batches` calls are in flight."""


@dataclass(frozen=True)
class PendingRequest:
    """An order that waits for its score. Both times are readings of the event loop's clock."""

    transaction: Transaction
    request_id: str
    submitted: float
    deadline: float
    answer: "asyncio.Future[PredictResponse]"


class Unreachable(Exception):
    """The scorer cannot be reached. All waiting orders fail at once instead of one call after another."""


class QueueFull(Exception):
    """Too many orders are waiting."""


class BatchFailed(Exception):
    """The call for an order's batch failed with `error`. Each order of the batch gets its own exception."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.__cause__ = error


Score = Callable[[Sequence[PendingRequest]], Awaitable[Sequence[PredictResponse | Exception]]]
"""Returns a prediction or an error for each order of a batch. Raises an error that affects all, such as Unreachable."""


class RequestBatcher:
    """Collects orders into batches and passes these to `score`, up to `max_batches` at a time."""

    def __init__(self, score: Score, max_batches: int = MAX_BATCHES) -> None:
        self._score, self._max_batches = score, max_batches
        self._pending: list[PendingRequest] = []
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def predict(self, transaction: Transaction, request_id: str, seconds: float) -> PredictResponse:
        """Return the score of one order.

        Raises TimeoutError after `seconds`, QueueFull, BatchFailed if the whole call failed, and the error that `score`
        returned for this order.
        """
        if len(self._pending) >= MAX_PENDING:
            self._pending = [request for request in self._pending if not request.answer.done()]
            if len(self._pending) >= MAX_PENDING:
                raise QueueFull
        loop = asyncio.get_running_loop()
        now = loop.time()
        request = PendingRequest(transaction, request_id, now, now + seconds, loop.create_future())
        self._pending.append(request)
        self._dispatch()
        async with asyncio.timeout_at(request.deadline):
            return await request.answer

    def _dispatch(self) -> None:
        """Start all batches that are due."""
        loop = asyncio.get_running_loop()
        while self._pending and len(self._running) < self._max_batches:
            due = self._pending[0].submitted + LINGER_SECONDS
            if self._running and len(self._pending) < EAGER_BATCH_SIZE and loop.time() < due:
                if self._timer is None:
                    self._timer = loop.call_at(due, self._on_linger_timeout)
                return
            self._start_batch(loop)

    def _on_linger_timeout(self) -> None:
        self._timer = None
        self._dispatch()

    def _start_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start a batch of the oldest orders, without those that were cancelled or whose deadline has passed."""
        now = loop.time()
        oldest = self._pending[:MAX_BATCH_SIZE]
        del self._pending[:MAX_BATCH_SIZE]
        batch = [request for request in oldest if not request.answer.done() and request.deadline > now]
        if batch:
            task = loop.create_task(self._run_batch(batch))
            self._running.add(task)
            task.add_done_callback(lambda task: self._batch_done(task, batch))

    async def _run_batch(self, batch: Sequence[PendingRequest]) -> None:
        try:
            answers = await self._score(batch)
        except Exception as error:
            _fail_all(batch, error)
            if isinstance(error, Unreachable):
                _fail_all(self._pending, error)
                self._pending.clear()
            return
        for request, answer in zip(batch, answers, strict=True):
            if not request.answer.done():
                if isinstance(answer, Exception):
                    request.answer.set_exception(answer)
                else:
                    request.answer.set_result(answer)

    def _batch_done(self, task: "asyncio.Task[None]", batch: Sequence[PendingRequest]) -> None:
        """Fail the orders without an answer (for example, if the task was cancelled), and start the next batches."""
        self._running.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        _fail_all(batch, error or asyncio.CancelledError())
        self._dispatch()


def _fail_all(requests: Sequence[PendingRequest], error: BaseException) -> None:
    """Fail all requests without an answer, each with its own exception: a shared one would collect every traceback."""
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(BatchFailed(error))
