"""Idle, slow and silent clients at the edge: they take no capacity from active ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from chaos.ledger.retrying import RetryingCaller
from testing.load import Call, Outcome, run_for_seconds, run_in_turn, until_answered
from testing.servers.clients import review
from testing.servers.replicas import agent, edge, running, scorer
from testing.waiting import wait_for

KINDS = 5
_HEAD = "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n"


@dataclass(frozen=True)
class IdleResult:
    """Reviews without idle clients, and reviews beside them."""

    alone: Outcome
    with_idle_clients: Outcome
    idlers: int

    @property
    def p99_ratio(self) -> float:
        """Return p99 beside the idle clients divided by p99 alone."""
        return self.with_idle_clients.latency(0.99) / self.alone.latency(0.99)


async def review_beside_idle_clients(
    folder: Path, models: Path, idlers: int, rate: float, seconds: float, reviews: int = 0
) -> IdleResult:
    """Send reviews at a rate, first alone, then beside `idlers` clients of five kinds.

    With `reviews`, send that many each time instead, one after another, and retry each that is refused for now.
    """
    retrying = RetryingCaller()

    def work(call: Call) -> Awaitable[Outcome]:
        if reviews:
            return run_in_turn(lambda: retrying.send(call), reviews)
        return run_for_seconds(call, rate, seconds)

    behind = scorer(folder, models)
    front = agent(folder, behind.address)
    with running(behind, front), edge(folder, behind, front) as address:
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        await asyncio.to_thread(wait_for, front.listening, what="the agent listening")
        async with review(address) as call:
            await until_answered(call)
            alone = await work(call)
            async with idle_clients(address, idlers):
                with_idle_clients = await work(call)
    return IdleResult(alone, with_idle_clients, idlers)


@contextlib.asynccontextmanager
async def idle_clients(address: str, number: int) -> AsyncIterator[None]:
    """Keep `number` idle clients connected: health watches, silent streams, and bodies that stop after some bytes."""
    async with contextlib.AsyncExitStack() as stack:
        for client in range(number):
            await _KINDS[client % KINDS](address, stack)
        yield


async def _channel(address: str, stack: contextlib.AsyncExitStack) -> grpc.aio.Channel:
    return await stack.enter_async_context(grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]))


async def _watch(address: str, stack: contextlib.AsyncExitStack) -> None:
    call: Any = health_pb2_grpc.HealthStub(await _channel(address, stack)).Watch(health_pb2.HealthCheckRequest())
    stack.callback(call.cancel)
    await call.read()


async def _open_silent_stream(address: str, stack: contextlib.AsyncExitStack) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(await _channel(address, stack))
    call = stub.ServerReflectionInfo()
    stack.callback(call.cancel)


async def _grpc_body(address: str, stack: contextlib.AsyncExitStack) -> None:
    call: Any = (await _channel(address, stack)).stream_unary("/vouch.v1.AgentService/Review")()
    stack.callback(call.cancel)  # its headers are sent, its message never


async def _send_slowly(path: str, address: str, stack: contextlib.AsyncExitStack) -> None:
    host, _, port = address.partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    stack.callback(writer.close)
    writer.write(_HEAD.format(path=path, host=address).encode() + b'{"transaction_id": ')
    await writer.drain()


async def _json_body(address: str, stack: contextlib.AsyncExitStack) -> None:
    await _send_slowly("/v1/transactions:review", address, stack)


async def _rest_body(address: str, stack: contextlib.AsyncExitStack) -> None:
    await _send_slowly("/api/v1/review", address, stack)


_KINDS = (_watch, _grpc_body, _json_body, _rest_body, _open_silent_stream)
