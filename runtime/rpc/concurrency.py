"""Concurrency limits: slots in use, and the queue of batch calls that wait for a slot."""

import asyncio
from collections import deque
from dataclasses import dataclass, field


@dataclass
class ConcurrencyLimit:
    """Limit of concurrent streams of one kind, and the number in use."""

    limit: int
    in_use: int = 0


@dataclass
class CallLimit:
    """Limit of concurrent unary calls. Batch calls use at most `for_batches` slots and queue for them in order.

    The other slots are reserved for single calls, which never queue. `limit` applies to all calls together.
    """

    limit: int
    for_batches: int = field(init=False)
    queue_limit: int = field(init=False)
    in_use: int = 0
    _queue: "deque[asyncio.Future[None]]" = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.for_batches, self.queue_limit = max(1, self.limit // 2), 4 * self.limit

    @property
    def waiting(self) -> int:
        """Return the number of queued batch calls."""
        return len(self._queue)

    async def acquire(self) -> bool:
        """Take a slot once fewer than `for_batches` are in use. Return False, without a slot, if the queue is full."""
        if len(self._queue) >= self.queue_limit:
            return False
        waiter = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()  # the slot was assigned just before
            elif waiter in self._queue:  # `release` may already have removed the cancelled waiter
                self._queue.remove(waiter)
            raise
        return True

    def release(self) -> None:
        """Release a slot, and assign it to the next queued call if the batch limit allows it."""
        self.in_use -= 1
        while self._queue and self.in_use < self.for_batches:
            waiter = self._queue.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)
