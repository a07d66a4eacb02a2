"""ConcurrencyLimit for calls of one kind: how many there are, and the queue of those that wait for one."""

import asyncio
from collections import deque
from dataclasses import dataclass, field


@dataclass
class ConcurrencyLimit:
    """How many there are for streams of one kind, and how many are taken."""

    most: int
    taken: int = 0


@dataclass
class CallLimit:
    """ConcurrencyLimit of calls that work. Calls of batches use `for_batches` of them and wait for these in their order.

    The other places are reserved for single calls, which never wait: `most` bounds all together.
    """

    most: int
    for_batches: int = field(init=False)
    most_waiting: int = field(init=False)
    taken: int = 0
    _queue: "deque[asyncio.Future[None]]" = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.for_batches, self.most_waiting = max(1, self.most // 2), 4 * self.most

    @property
    def waiting(self) -> int:
        """How many calls of batches wait."""
        return len(self._queue)

    async def wait(self) -> bool:
        """Take a place once fewer than `for_batches` are taken; False, without a place, where too many wait already."""
        if len(self._queue) >= self.most_waiting:
            return False
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # the place was handed over just before
            elif turn in self._queue:  # `leave` drops a turn that was cancelled, and may have come first
                self._queue.remove(turn)
            raise
        return True

    def leave(self) -> None:
        """Give a place back; the next in the queue takes it where it may."""
        self.taken -= 1
        while self._queue and self.taken < self.for_batches:
            turn = self._queue.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(None)
