"""Calls of the gRPC services with the API key of the reviewer who signed in."""

from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub


class ServiceError(Exception):
    """A service returned an error or is unavailable: its code, and a sentence for the reviewer."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


CLAIM_LOST_CODES = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED)
"""Codes for a case that another reviewer claimed, or that is resolved."""
_SENTENCES = {
    grpc.StatusCode.UNAVAILABLE: "The service is unavailable. Your input was not lost; try again in a moment.",
    grpc.StatusCode.DEADLINE_EXCEEDED: "The service did not answer in time. Try again in a moment.",
}


class Services:
    """Stubs of the agent and the scorer, on channels that stay open as long as the console runs."""

    def __init__(self, agent: Any, scorer: Any, timeout_seconds: float) -> None:
        self.agent, self.cases, self.scoring = (
            AgentServiceStub(agent),
            CaseServiceStub(agent),
            ScoringServiceStub(scorer),
        )
        self._timeout = timeout_seconds

    async def call_service(self, method: Any, request: Message, key: str) -> Any:
        """Call a method with an API key. Raises ServiceError."""
        try:
            return await method(request, timeout=self._timeout, metadata=with_key(key))
        except grpc.aio.AioRpcError as error:
            raise service_error(error) from error


def with_key(key: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata with an API key; empty without one."""
    return (("x-api-key", key),) if key else ()


def service_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """Return an error with a sentence for the reviewer. Messages of gRPC itself are replaced: they name addresses."""
    rich = rpc_status.from_call(error)
    sentence = _SENTENCES.get(error.code()) or (rich.message if rich else "The service rejected the request.")
    return ServiceError(error.code(), sentence)
