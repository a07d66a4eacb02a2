"""Orders that arrive while others are being scored go to the scorer together: one call for all that gathered meanwhile.

An order that comes alone is scored alone, at once. Each keeps its own deadline, request id and error.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

LARGEST = 64
"""Orders that are scored together at most: more would keep the first of them waiting for the last."""


@dataclass(frozen=True)
class Asked:
    """An order that waits for its score, under the id of its request; `until` is a moment of the loop's clock."""

    transaction: Transaction
    request_id: str
    until: float
    answer: "asyncio.Future[PredictResponse]"


class Unreachable(Exception):
    """Who scores cannot be reached: those who wait for the next call need not find out one call after another."""


Score = Callable[[Sequence[Asked]], Awaitable[Sequence[PredictResponse | Exception]]]
"""Scores orders: an answer or an error for each. Raises what is wrong with all of them: Unreachable, say."""


class Gathering:
    """Hands orders to `score`, one call at a time; those that come meanwhile wait for the next."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self._waiting: list[Asked] = []
        self._flight: asyncio.Task[None] | None = None

    async def predict(self, transaction: Transaction, request_id: str, seconds: float) -> PredictResponse:
        """The score of one order. Raises TimeoutError where it is not there in time, and what `score` says of it."""
        loop = asyncio.get_running_loop()
        asked = Asked(transaction, request_id, loop.time() + seconds, loop.create_future())
        self._waiting.append(asked)
        if self._flight is None:
            self._depart()
        async with asyncio.timeout_at(asked.until):
            return await asked.answer

    def _depart(self) -> None:
        """Send what waits; whose caller has gone is left behind."""
        now = asyncio.get_running_loop().time()
        while self._waiting and self._flight is None:
            gathered = [asked for asked in self._waiting[:LARGEST] if not asked.answer.done() and asked.until > now]
            del self._waiting[:LARGEST]
            if gathered:
                self._flight = asyncio.create_task(self._fly(gathered))
                self._flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        self._depart()

    async def _fly(self, gathered: Sequence[Asked]) -> None:
        try:
            answers: Sequence[PredictResponse | Exception] = await self._score(gathered)
        except Exception as error:
            if isinstance(error, Unreachable):
                gathered = [*gathered, *self._waiting]
                self._waiting.clear()
            answers = [error] * len(gathered)
        for asked, answer in zip(gathered, answers, strict=True):
            if not asked.answer.done():
                if isinstance(answer, Exception):
                    asked.answer.set_exception(answer)
                else:
                    asked.answer.set_result(answer)
