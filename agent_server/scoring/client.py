"""The agent's way to the scorer."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from agent_server.scoring.breaker import Breaker
from agent_server.scoring.request_batcher import (
    MAX_BATCHES,
    BatchFailed,
    PendingRequest,
    QueueFull,
    RequestBatcher,
    Unreachable,
)
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.access.tls import ClientTls
from runtime.client.channels import open_channel
from runtime.errors import DeadlinePassed, InvalidRequest, Overloaded, Unavailable, VouchError, violations_of
from runtime.rpc.call import REQUEST_ID, Call
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

HEALTH_SECONDS = 0.5
ATTEMPTS = 2
"""Fewer than callers make: a review without a score is better than one that waits."""
ADVICE_AT_ONCE = 2
"""Batches of advice under way: fewer than the scorer takes, so that they never displace orders that wait for a decision."""
_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name
_log = get_logger()


class ScoringClient:
    """Calls the scorer; what goes wrong becomes an error that a caller of the agent understands.

    While the scorer is unavailable, a breaker lets nobody wait for it. Overload is none of its business: a call that ends in
    time, even by a refusal, and one that is late while the scorer serves others or says that it serves, is no outage.
    """

    def __init__(
        self, stub: Any, health: Any, timeout_seconds: float, api_key: str = "", breaker: Breaker | None = None,
        max_batches: int = MAX_BATCHES,
    ) -> None:  # fmt: skip
        """`stub` and `health` are those of ScoringService and of its health checks, over a channel or in this process."""
        self._stub, self._health = stub, health
        self._channel: grpc.aio.Channel | None = None
        self._timeout = timeout_seconds
        self._key = (("x-api-key", api_key),) if api_key else ()
        self.breaker = breaker or Breaker()
        self._batcher = RequestBatcher(self._score, max_batches)
        self._advice = asyncio.Semaphore(ADVICE_AT_ONCE)
        self._last_answer = -math.inf
        self._probe: asyncio.Future[bool] | None = None

    @classmethod
    def reaching(
        cls, target: str, timeout_seconds: float, api_key: str = "", tls: ClientTls | None = None,
        breaker: Breaker | None = None, max_batches: int = MAX_BATCHES,
    ) -> Self:  # fmt: skip
        """A client with a channel of its own to a scorer elsewhere. Raises SecurityError where certificates cannot be read."""
        channel = open_channel(target, tls, health_service=_NAME, attempts=ATTEMPTS)
        stubs = ScoringServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        client = cls(*stubs, timeout_seconds, api_key, breaker, max_batches)
        client._channel = channel
        return client

    async def predict(self, transaction: Transaction, call: Call) -> pb.PredictResponse:
        """Score with reasons, within the caller's time.

        Raises Unavailable, Overloaded, DeadlinePassed, or InvalidRequest where the scorer is strict about extras.
        """
        if not self.breaker.allows():
            raise _away()
        remaining = call.remaining
        seconds = self._timeout if remaining is None else min(self._timeout, remaining)
        in_time = remaining is None or remaining > self._timeout
        try:
            return await self._batcher.predict(transaction, call.request_id, seconds)
        except QueueFull as error:
            raise _overloaded() from error
        except TimeoutError as error:
            raise await self._late(in_time=in_time) from error
        except BatchFailed as failed:
            if isinstance(failed.error, Unreachable):
                raise _away() from failed
            if isinstance(failed.error, grpc.aio.AioRpcError):
                raise await self._failure(failed.error, in_time=in_time) from failed
            raise

    async def _failure(self, error: grpc.aio.AioRpcError, *, in_time: bool) -> VouchError:
        """What a caller is told; `in_time` says that its own deadline was not what ended the wait."""
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            return await self._late(in_time=in_time)
        if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return _overloaded()
        violations = _violations(error)
        return InvalidRequest(violations) if violations else _away()

    async def _late(self, *, in_time: bool) -> VouchError:
        """What a caller is told whose order was not scored in time."""
        if not in_time:
            return DeadlinePassed("the scorer did not answer before the deadline")
        return _overloaded() if await self._is_alive() else _away()

    async def _is_alive(self) -> bool:
        """Whether the scorer answered a call lately, or says that it serves: then what is late is late for load."""
        if time.monotonic() - self._last_answer < self._timeout / 2:
            return True
        if self._probe is None or self._probe.done():  # one for all who ask at the same time
            self._probe = asyncio.ensure_future(self.available())
        return await asyncio.shield(self._probe)

    async def _call(self, method: Any, request: Any, seconds: float, metadata: Any = ()) -> Any:
        """Make one call. How it ends is counted once, however many orders wait for it."""
        try:
            response = await method(request, timeout=seconds, metadata=(*self._key, *metadata))
        except grpc.aio.AioRpcError as error:
            await self._count(error)
            raise
        self._answered()
        return response

    async def _count(self, error: grpc.aio.AioRpcError) -> None:
        code = error.code()
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED or _violations(error):
            self._answered()
        elif code != grpc.StatusCode.DEADLINE_EXCEEDED or not await self._is_alive():
            if self.breaker.closed:
                _log.warning("scorer failed", code=code.name)
            self.breaker.failed()

    def _answered(self) -> None:
        self._last_answer = time.monotonic()
        self.breaker.succeeded()

    async def _score(self, batch: Sequence[PendingRequest]) -> Sequence[pb.PredictResponse | Exception]:
        """Score a batch. Raises Unreachable where the scorer is unavailable, and AioRpcError."""
        try:
            return await self._score_batch(batch)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise Unreachable from error
            raise
        except Exception as error:  # none of the scorer's
            _log.error("batch failed", error=type(error).__name__, where=traceback_frames(error), orders=len(batch))
            raise

    async def _score_batch(self, batch: Sequence[PendingRequest]) -> Sequence[pb.PredictResponse | Exception]:
        seconds = max(request.deadline for request in batch) - asyncio.get_running_loop().time()
        if len(batch) == 1:
            return [await self._score_one(batch[0], seconds)]
        message = pb.PredictBatchRequest(
            transactions=[request.transaction for request in batch],
            explain_level=pb.EXPLAIN_LEVEL_REASONS,
            error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM,
            request_ids=[request.request_id for request in batch],
        )
        try:
            response = await self._call(self._stub.PredictBatch, message, seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            # The scorer has no room for another batch; for single orders it has.
            alone = await asyncio.gather(
                *(self._score_one(request, seconds) for request in batch), return_exceptions=True
            )
            return [BatchFailed(one) if isinstance(one, BaseException) else one for one in alone]
        return [_outcome(result) for result in response.results]

    async def _score_one(self, pending: PendingRequest, seconds: float) -> pb.PredictResponse:
        request = pb.PredictRequest(transaction=pending.transaction, explain_level=pb.EXPLAIN_LEVEL_REASONS)
        response: pb.PredictResponse = await self._call(
            self._stub.Predict, request, seconds, ((REQUEST_ID, pending.request_id),)
        )
        return response

    async def advise(self, transactions: Sequence[Transaction], seconds: float) -> list[pb.PredictResponse | None]:
        """Score variants of an order, without reasons; None for one that the scorer refuses.

        Advice gives way to orders: few such calls are under way at a time, and none counts against the scorer. Raises
        Unavailable or Overloaded, also where it takes longer than `seconds`, or than the scorer's time where that is less.
        """
        if not self.breaker.closed:
            raise _away()
        try:
            async with asyncio.timeout(min(self._timeout, seconds)), self._advice:
                return await self._predict_batch(transactions, pb.EXPLAIN_LEVEL_NONE, min(self._timeout, seconds))
        except TimeoutError as error:
            raise _overloaded() from error

    async def predict_many(self, transactions: Sequence[Transaction]) -> list[pb.PredictResponse | None]:
        """Score many orders at once, with reasons; None for one that the scorer refuses. Raises Unavailable or Overloaded.

        Waits ten times as long as for an order: no caller waits for these.
        """
        return await self._predict_batch(transactions, pb.EXPLAIN_LEVEL_REASONS, 10 * self._timeout)

    async def _predict_batch(
        self, transactions: Sequence[Transaction], level: pb.ExplainLevel, seconds: float
    ) -> list[pb.PredictResponse | None]:
        request = pb.PredictBatchRequest(
            transactions=transactions, explain_level=level, error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM
        )
        try:
            response = await self._stub.PredictBatch(request, timeout=seconds, metadata=self._key)
        except grpc.aio.AioRpcError as error:
            overloaded = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            raise (_overloaded() if overloaded else _away()) from error
        self._answered()
        return [
            result.prediction if result.WhichOneof("outcome") == "prediction" else None for result in response.results
        ]

    async def available(self) -> bool:
        """Whether the scorer says that it serves."""
        if self._health is None:
            return False
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest(service=_NAME), timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Close the channel, where there is one."""
        if self._channel is not None:
            await self._channel.close()


def _outcome(result: pb.PredictBatchResult) -> pb.PredictResponse | Exception:
    """The score of one order of a batch, or the refusal that it would have got alone."""
    if result.WhichOneof("outcome") == "prediction":
        return result.prediction
    violations = [(f"transaction.{field}", description) for field, description in violations_of(result.error)]
    return InvalidRequest(violations or [("transaction", result.error.message)])


def _violations(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """The rules of the contract that a call broke; none where it failed otherwise."""
    rich = rpc_status.from_call(error)
    return violations_of(rich) if rich is not None else []


def _overloaded() -> Overloaded:
    return Overloaded("the scorer has too much to do: try again in a second")


def _away() -> Unavailable:
    return Unavailable(
        "the scorer is away, so there is no score: try again", reason=ErrorReason.ERROR_REASON_SCORER_UNAVAILABLE
    )
