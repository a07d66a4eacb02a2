"""The services behind, asked with the key of the person who signed in."""

from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub


class Refused(Exception):
    """A service refused or is away: its code, and a sentence for the person."""

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


LOST = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED)
"""Codes of a case that is somebody else's, or decided."""
_OURS = {
    grpc.StatusCode.UNAVAILABLE: "The service behind is away. What you typed is kept; try again in a moment.",
    grpc.StatusCode.DEADLINE_EXCEEDED: "The service behind did not answer in time. Try again in a moment.",
}


class Services:
    """Stubs over two channels that live as long as the console."""

    def __init__(self, agent: Any, scorer: Any, timeout_seconds: float) -> None:
        self.agent, self.cases, self.scoring = (
            AgentServiceStub(agent),
            CaseServiceStub(agent),
            ScoringServiceStub(scorer),
        )
        self._timeout = timeout_seconds

    async def ask(self, method: Any, request: Message, key: str) -> Any:
        """One call; raises Refused."""
        try:
            return await method(request, timeout=self._timeout, metadata=with_key(key))
        except grpc.aio.AioRpcError as error:
            raise refused(error) from error


def with_key(key: str) -> tuple[tuple[str, str], ...]:
    """The metadata that shows a key."""
    return (("x-api-key", key),) if key else ()


def refused(error: grpc.aio.AioRpcError) -> Refused:
    """What a person is told of an error: gRPC's own words name addresses, ours do not."""
    rich = rpc_status.from_call(error)
    return Refused(
        error.code(), _OURS.get(error.code()) or (rich.message if rich else "The service behind refused this.")
    )
