"""The agent's way to the scorer."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from agent_server.breaker import Breaker
from agent_server.gathering import Asked, Gathering, Unreachable
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.access.tls import ClientTls
from runtime.rpc.call import REQUEST_ID, Call
from runtime.rpc.channels import open_channel
from runtime.rpc.errors import DeadlinePassed, InvalidRequest, Overloaded, Unavailable, VouchError, violations_of
from runtime.telemetry.logging import get_logger

HEALTH_SECONDS = 0.5
ATTEMPTS = 2
"""Fewer than callers make: a review without a score is better than one that waits."""
_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name
_log = get_logger()


class ScoringClient:
    """Asks the scorer; what goes wrong on the way becomes an error that a caller of the agent understands.

    While the scorer is away, a breaker lets nobody wait for it.
    """

    def __init__(
        self, stub: Any, health: Any, timeout_seconds: float, api_key: str = "", breaker: Breaker | None = None
    ) -> None:
        """`stub` and `health` are those of ScoringService and of its health checks, over a channel or in this process."""
        self._stub, self._health = stub, health
        self._channel: grpc.aio.Channel | None = None
        self._timeout = timeout_seconds
        self._key = (("x-api-key", api_key),) if api_key else ()
        self.breaker = breaker or Breaker()
        self._gathering = Gathering(self._score)

    @classmethod
    def reaching(
        cls, target: str, timeout_seconds: float, api_key: str = "", tls: ClientTls | None = None,
        breaker: Breaker | None = None,
    ) -> Self:  # fmt: skip
        """A client with a channel of its own to a scorer elsewhere. Raises SecurityError where certificates cannot be read."""
        channel = open_channel(target, tls, health_service=_NAME, attempts=ATTEMPTS)
        client = cls(
            ScoringServiceStub(channel), health_pb2_grpc.HealthStub(channel), timeout_seconds, api_key, breaker
        )
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
        try:
            response = await self._gathering.predict(transaction, call.request_id, seconds)
        except (TimeoutError, Unreachable, grpc.aio.AioRpcError) as error:
            raise self._failure(error, call, in_time=remaining is None or remaining > self._timeout) from error
        self.breaker.succeeded()
        return response

    def _failure(self, error: Exception, call: Call, *, in_time: bool) -> VouchError:
        """What a caller is told; `in_time` says that its own deadline was not what ended the wait."""
        code = _code(error)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED and not in_time:
            return DeadlinePassed("the scorer did not answer before the deadline")
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded("the scorer has too much to do: try again in a second")
        rich = rpc_status.from_call(error) if isinstance(error, grpc.aio.AioRpcError) else None
        if rich is not None and (violations := violations_of(rich)):
            return InvalidRequest(violations)
        if self.breaker.closed:
            _log.warning("scorer failed", code=code.name, request_id=call.request_id)
        self.breaker.failed()
        return _away()

    async def _score(self, gathered: Sequence[Asked]) -> Sequence[pb.PredictResponse | Exception]:
        try:
            return await self._score_together(gathered)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise Unreachable from error
            raise

    async def _score_together(self, gathered: Sequence[Asked]) -> Sequence[pb.PredictResponse | Exception]:
        seconds = max(asked.until for asked in gathered) - asyncio.get_running_loop().time()
        if len(gathered) == 1:
            return [await self._score_alone(gathered[0], seconds)]
        batch = pb.PredictBatchRequest(
            transactions=[asked.transaction for asked in gathered],
            explain_level=pb.EXPLAIN_LEVEL_REASONS,
            error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM,
            request_ids=[asked.request_id for asked in gathered],
        )
        try:
            response = await self._stub.PredictBatch(batch, timeout=seconds, metadata=self._key)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            # The scorer has no room for another batch; for single orders it has.
            alone = [self._score_alone(asked, seconds) for asked in gathered]
            return await asyncio.gather(*alone, return_exceptions=True)  # type: ignore[return-value]
        return [_outcome(result) for result in response.results]

    async def _score_alone(self, asked: Asked, seconds: float) -> pb.PredictResponse:
        request = pb.PredictRequest(transaction=asked.transaction, explain_level=pb.EXPLAIN_LEVEL_REASONS)
        metadata = (*self._key, (REQUEST_ID, asked.request_id))
        response: pb.PredictResponse = await self._stub.Predict(request, timeout=seconds, metadata=metadata)
        return response

    async def predict_many(
        self, transactions: Sequence[Transaction], *, explain: bool = True, within: float | None = None
    ) -> list[pb.PredictResponse | None]:
        """Score many orders at once, with reasons unless told otherwise; None for one that the scorer refuses.

        Raises Unavailable, also where it takes longer than `within` seconds, or than the scorer's time where that is less;
        without `within` ten times as long is waited: nobody waits for these.
        """
        seconds = 10 * self._timeout if within is None else min(self._timeout, within)
        request = pb.PredictBatchRequest(
            transactions=transactions,
            explain_level=pb.EXPLAIN_LEVEL_REASONS if explain else pb.EXPLAIN_LEVEL_NONE,
            error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM,
        )
        try:
            response = await self._stub.PredictBatch(request, timeout=seconds, metadata=self._key)
        except grpc.aio.AioRpcError as error:
            raise _away() from error
        self.breaker.succeeded()
        return [
            result.prediction if result.WhichOneof("outcome") == "prediction" else None for result in response.results
        ]

    async def available(self) -> bool:
        """Whether the scorer says that it serves."""
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


def _code(error: Exception) -> grpc.StatusCode:
    """The status of a call that failed, also where it is not gRPC that said so."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code()
    return grpc.StatusCode.UNAVAILABLE if isinstance(error, Unreachable) else grpc.StatusCode.DEADLINE_EXCEEDED


def _away() -> Unavailable:
    return Unavailable(
        "the scorer is away, so there is no score: try again", reason=ErrorReason.ERROR_REASON_SCORER_UNAVAILABLE
    )
