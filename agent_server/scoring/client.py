"""The agent's client of the scorer."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from agent_server.scoring.breaker import CircuitBreaker
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
MAX_ATTEMPTS = 2
"""Fewer attempts than other clients make: a review without a score is better than a late one."""
MAX_CANDIDATE_CALLS = 2
"""Concurrent batches of candidate changes: fewer than the scorer accepts, so that they never displace orders."""
_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name
_log = get_logger()


class ScoringClient:
    """Calls the scorer and translates failures into errors for callers of the agent.

    While the scorer is unavailable, a circuit breaker fails calls at once. Overload does not open the breaker: a
    refusal in time is no outage, nor is a timeout while the scorer answers other calls or its health check.
    """

    def __init__(
        self, stub: Any, health: Any, timeout_seconds: float, api_key: str = "", breaker: CircuitBreaker | None = None,
        max_batches: int = MAX_BATCHES,
    ) -> None:  # fmt: skip
        """`stub` and `health` are the stubs of ScoringService and of its health service, remote or in process."""
        self._stub, self._health = stub, health
        self._channel: grpc.aio.Channel | None = None
        self._timeout = timeout_seconds
        self._key = (("x-api-key", api_key),) if api_key else ()
        self.breaker = breaker or CircuitBreaker()
        self._batcher = RequestBatcher(self._score, max_batches)
        self._candidate_calls = asyncio.Semaphore(MAX_CANDIDATE_CALLS)
        self._last_answer = -math.inf
        self._probe: asyncio.Future[bool] | None = None

    @classmethod
    def connect(
        cls, target: str, timeout_seconds: float, api_key: str = "", tls: ClientTls | None = None,
        breaker: CircuitBreaker | None = None, max_batches: int = MAX_BATCHES,
    ) -> Self:  # fmt: skip
        """Return a client with its own channel to a scorer. Raises SecurityError if certificates cannot be read."""
        channel = open_channel(target, tls, health_service=_NAME, attempts=MAX_ATTEMPTS)
        stubs = ScoringServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        client = cls(*stubs, timeout_seconds, api_key, breaker, max_batches)
        client._channel = channel
        return client

    async def predict(self, transaction: Transaction, call: Call) -> pb.PredictResponse:
        """Score an order, with reasons, within the caller's deadline.

        Raises Unavailable, Overloaded, DeadlinePassed, or InvalidRequest if the scorer rejects unknown extras.
        """
        if not self.breaker.allow_call():
            raise _unavailable()
        remaining = call.remaining
        seconds = self._timeout if remaining is None else min(self._timeout, remaining)
        before_deadline = remaining is None or remaining > self._timeout
        try:
            return await self._batcher.predict(transaction, call.request_id, seconds)
        except QueueFull as error:
            raise _overloaded() from error
        except TimeoutError as error:
            raise await self._timeout_error(before_deadline=before_deadline) from error
        except BatchFailed as failed:
            if isinstance(failed.error, Unreachable):
                raise _unavailable() from failed
            if isinstance(failed.error, grpc.aio.AioRpcError):
                raise await self._to_caller_error(failed.error, before_deadline=before_deadline) from failed
            raise

    async def _to_caller_error(self, error: grpc.aio.AioRpcError, *, before_deadline: bool) -> VouchError:
        """Return the error for the caller. `before_deadline`: the call did not end because of the caller's deadline."""
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            return await self._timeout_error(before_deadline=before_deadline)
        if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return _overloaded()
        violations = _violations(error)
        return InvalidRequest(violations) if violations else _unavailable()

    async def _timeout_error(self, *, before_deadline: bool) -> VouchError:
        """Return the error for an order that was not scored in time."""
        if not before_deadline:
            return DeadlinePassed("scoring service did not answer before the deadline")
        return _overloaded() if await self._is_alive() else _unavailable()

    async def _is_alive(self) -> bool:
        """Return whether the scorer recently answered a call, or is healthy: then a timeout is due to load."""
        if time.monotonic() - self._last_answer < self._timeout / 2:
            return True
        if self._probe is None or self._probe.done():  # one health check for concurrent calls
            self._probe = asyncio.ensure_future(self.available())
        return await asyncio.shield(self._probe)

    async def _call(self, method: Any, request: Any, seconds: float, metadata: Any = ()) -> Any:
        """Make one call and record its result once, independent of the number of orders in it."""
        try:
            response = await method(request, timeout=seconds, metadata=(*self._key, *metadata))
        except grpc.aio.AioRpcError as error:
            await self._record_error(error)
            raise
        self._record_answer()
        return response

    async def _record_error(self, error: grpc.aio.AioRpcError) -> None:
        code = error.code()
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED or _violations(error):
            self._record_answer()
        elif code != grpc.StatusCode.DEADLINE_EXCEEDED or not await self._is_alive():
            if self.breaker.closed:
                _log.warning("scorer failed", code=code.name)
            self.breaker.record_failure()

    def _record_answer(self) -> None:
        self._last_answer = time.monotonic()
        self.breaker.record_success()

    async def _score(self, batch: Sequence[PendingRequest]) -> Sequence[pb.PredictResponse | Exception]:
        """Score a batch. Raises Unreachable if the scorer is unavailable, and AioRpcError."""
        try:
            return await self._score_batch(batch)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise Unreachable from error
            raise
        except Exception as error:  # not an error of the scorer
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
            # The scorer limits batches and single orders separately: it may still accept single orders.
            alone = await asyncio.gather(
                *(self._score_one(request, seconds) for request in batch), return_exceptions=True
            )
            return [BatchFailed(one) if isinstance(one, BaseException) else one for one in alone]
        return [_prediction_or_error(result) for result in response.results]

    async def _score_one(self, pending: PendingRequest, seconds: float) -> pb.PredictResponse:
        request = pb.PredictRequest(transaction=pending.transaction, explain_level=pb.EXPLAIN_LEVEL_REASONS)
        response: pb.PredictResponse = await self._call(
            self._stub.Predict, request, seconds, ((REQUEST_ID, pending.request_id),)
        )
        return response

    async def predict_candidates(
        self, transactions: Sequence[Transaction], seconds: float
    ) -> list[pb.PredictResponse | None]:
        """Score candidate changes of an order, without reasons; None for each that the scorer rejects.

        Orders come first: few such calls run at a time, and their failures do not count for the breaker. Raises
        Unavailable, or Overloaded, also after `seconds` or the scorer's timeout, whichever is less.
        """
        if not self.breaker.closed:
            raise _unavailable()
        try:
            async with asyncio.timeout(min(self._timeout, seconds)), self._candidate_calls:
                return await self._predict_batch(transactions, pb.EXPLAIN_LEVEL_NONE, min(self._timeout, seconds))
        except TimeoutError as error:
            raise _overloaded() from error

    async def predict_many(self, transactions: Sequence[Transaction]) -> list[pb.PredictResponse | None]:
        """Score many orders in one call, with reasons; None for each that the scorer rejects.

        The timeout is ten times that of an order, because no caller waits. Raises Unavailable or Overloaded.
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
            raise (_overloaded() if overloaded else _unavailable()) from error
        self._record_answer()
        return [
            result.prediction if result.WhichOneof("outcome") == "prediction" else None for result in response.results
        ]

    async def available(self) -> bool:
        """Return whether the scorer's health check says SERVING."""
        if self._health is None:
            return False
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest(service=_NAME), timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Close the channel, if the client has its own."""
        if self._channel is not None:
            await self._channel.close()


def _prediction_or_error(result: pb.PredictBatchResult) -> pb.PredictResponse | Exception:
    """Return the prediction for one order of a batch, or the error that it would have got in a single call."""
    if result.WhichOneof("outcome") == "prediction":
        return result.prediction
    violations = [(f"transaction.{field}", description) for field, description in violations_of(result.error)]
    return InvalidRequest(violations or [("transaction", result.error.message)])


def _violations(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """Return the field violations of a failed call; empty if it failed for another reason."""
    rich = rpc_status.from_call(error)
    return violations_of(rich) if rich is not None else []


def _overloaded() -> Overloaded:
    return Overloaded("scoring service overloaded; retry in a second")


def _unavailable() -> Unavailable:
    return Unavailable("scoring service unavailable; retry", reason=ErrorReason.ERROR_REASON_SCORER_UNAVAILABLE)
