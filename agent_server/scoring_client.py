"""The agent's way to the scorer."""

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.access.tls import ClientTls
from runtime.rpc.call import REQUEST_ID, Call
from runtime.rpc.channels import open_channel
from runtime.rpc.errors import DeadlinePassed, InvalidRequest, Overloaded, Unavailable
from runtime.telemetry.logging import get_logger

HEALTH_SECONDS = 0.5
_NAME = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name
_log = get_logger()


def violations_of(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    """Field paths and descriptions that a refusal carries."""
    rich, told = rpc_status.from_call(error), error_details_pb2.BadRequest()
    for detail in rich.details if rich else ():
        if detail.Is(told.DESCRIPTOR):
            detail.Unpack(told)
    return [(violation.field, violation.description) for violation in told.field_violations]


class ScoringClient:
    """Asks the scorer; what goes wrong on the way becomes an error that a caller of the agent understands."""

    def __init__(self, target: str, timeout_seconds: float, api_key: str = "", tls: ClientTls | None = None) -> None:
        self._channel = open_channel(target, tls, health_service=_NAME)
        self._stub: Any = ScoringServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)
        self._timeout = timeout_seconds
        self._key = (("x-api-key", api_key),) if api_key else ()

    async def predict(self, transaction: Transaction, call: Call) -> pb.PredictResponse:
        """Score with reasons, within the caller's time. Raises Unavailable, Overloaded, DeadlinePassed, or
        InvalidRequest where the scorer is strict about extras.
        """
        remaining, request_id = call.remaining, call.request_id
        timeout = self._timeout if remaining is None else min(self._timeout, remaining)
        metadata = (*self._key, (REQUEST_ID, request_id))
        try:
            request = pb.PredictRequest(transaction=transaction, explain=True)
            response: pb.PredictResponse = await self._stub.Predict(request, timeout=timeout, metadata=metadata)
            return response
        except grpc.aio.AioRpcError as error:
            code = error.code()
            _log.warning("scorer failed", code=code.name, request_id=request_id)
            if code == grpc.StatusCode.DEADLINE_EXCEEDED and remaining is not None and remaining <= self._timeout:
                raise DeadlinePassed("the scorer did not answer before the deadline") from error
            if code == grpc.StatusCode.INVALID_ARGUMENT and (told := violations_of(error)):
                raise InvalidRequest(told) from error
            if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise Overloaded("the scorer has too much to do: try again in a second") from error
            raise Unavailable(
                "the scorer is away, so there is no decision: try again",
                reason=ErrorReason.ERROR_REASON_SCORER_UNAVAILABLE,
            ) from error

    async def available(self) -> bool:
        """Whether the scorer says that it serves."""
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest(service=_NAME), timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
