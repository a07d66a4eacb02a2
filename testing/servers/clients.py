"""Clients like those of users: the client policy of `runtime.channels`, several replicas behind one name."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence

import grpc
from google.protobuf.message import Message

from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.client.channels import open_channel
from testing.inputs.orders import message
from testing.load import Call

SCORING = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name
AGENT = agent.DESCRIPTOR.services_by_name["AgentService"].full_name
SECONDS = 10.0


def order(transaction_id: str = "chaos-1") -> Transaction:
    """Return the documented order."""
    return message(transaction_id=transaction_id, user_id="chaos")


@contextlib.asynccontextmanager
async def predict(addresses: Sequence[str], seconds: float = SECONDS) -> AsyncIterator[Call]:
    """Return a call of Predict to all replicas, with the client policy."""
    async with channel(addresses, SCORING) as connection:
        stub, request = ScoringServiceStub(connection), pb.PredictRequest(transaction=order())
        yield lambda: stub.Predict(request, timeout=seconds)


@contextlib.asynccontextmanager
async def predict_batch(address: str, orders: Sequence[Transaction]) -> AsyncIterator[Call]:
    """Return a call of PredictBatch with copies of one order, without retries."""
    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as connection:
        stub, request = ScoringServiceStub(connection), pb.PredictBatchRequest(transactions=orders)
        yield lambda: stub.PredictBatch(request, timeout=SECONDS)


@contextlib.asynccontextmanager
async def review(address: str) -> AsyncIterator[Call]:
    """Return a call of Review without retries, over several connections, as if by several callers."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(address, options)) for _ in range(8)]
        stubs, run = [AgentServiceStub(channel) for channel in channels], uuid.uuid4().hex
        number = 0

        def call() -> Awaitable[Message]:
            nonlocal number
            number += 1
            # With new ids: the same order again would get the recorded answer.
            request = agent.ReviewRequest(transaction=order(f"{run}-{number}"))
            answer: Awaitable[Message] = stubs[number % len(stubs)].Review(request, timeout=SECONDS)
            return answer

        yield call


def channel(addresses: Sequence[str], health_service: str = "") -> grpc.aio.Channel:
    """Return one channel to several replicas."""
    return open_channel(f"ipv4:{','.join(addresses)}", health_service=health_service)
