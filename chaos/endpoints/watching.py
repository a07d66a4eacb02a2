"""Watchers of cases at the edge, by gRPC and by server-sent events, they take no capacity from reviews."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from testing.inputs.hostile import ORDER
from testing.inputs.orders import message
from testing.servers.processes import Stack

_ON_ONE_CONNECTION = 50
"""Streams on a connection: the edge accepts 100 on one of HTTP/2."""
_REVIEWERS, _SECONDS, _PATIENCE = 4, 20.0, 180.0
_WATCH = "/api/v1/cases/watch"


@dataclass
class WatchResult:
    """Results. All counts but the first three must be 0."""

    watchers: int
    reviews: int = 0
    cases: int = 0
    """Cases that the reviews opened."""
    refused: int = 0
    """Reviews without an answer."""
    cut_off: int = 0
    """Streams that were refused, or ended before their watcher closed them."""
    missed: int = 0
    doubled: int = 0


@dataclass
class _Watcher:
    """The cases that a watcher has seen opened, and whether its stream has ended."""

    opened: list[str] = field(default_factory=list)
    there: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    async def watch_by_rpc(self, stub: CaseServiceStub) -> None:
        """Watch until cancelled or disconnected."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            call = stub.WatchCases(cases.WatchCasesRequest())
            async for change in call:
                self.there.set()
                if change.kind == cases.CASE_EVENT_KIND_OPENED:
                    self.opened.append(change.case.case_id)
        self._end()

    async def watch_by_events(self, client: httpx.AsyncClient) -> None:
        """Watch until cancelled or disconnected."""
        with contextlib.suppress(httpx.HTTPError):
            async with client.stream("GET", _WATCH) as answer:
                event = ""
                if answer.is_success:
                    async for line in answer.aiter_lines():
                        self.there.set()
                        name, _, value = line.partition(": ")
                        event = value if name == "event" else event
                        if name == "data" and event == "opened":
                            self.opened.append(json.loads(value)["case_id"])
        self._end()

    def _end(self) -> None:
        self.ended = True
        self.there.set()


async def watch_at_the_edge(
    folder: Path, models: Path, by_rpc: int, by_events: int, reviews: int, seconds: float = 0.0
) -> WatchResult:
    """Run watchers of both kinds, and reviews through the edge, each of which opens a case that all watchers see.

    The watchers stay for `seconds` at least.
    """
    settings = {"VOUCH_AGENT_APPROVE_THRESHOLD": "1.0", "VOUCH_AGENT_DENY_THRESHOLD": "0.0"}
    stack, result = Stack(folder, models, settings), WatchResult(by_rpc + by_events)
    try:
        stack.start("ml", "agent", "rest_ml", "rest_agent", "edge")
        await asyncio.to_thread(stack.wait_until_healthy)
        async with _watching(stack, by_rpc, by_events) as watchers:
            async with asyncio.timeout(_PATIENCE):
                await asyncio.gather(*(one.there.wait() for one in watchers))
            opened, _ = await asyncio.gather(_review(stack, reviews, result), asyncio.sleep(seconds))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    while any(len(set(one.opened)) < len(opened) and not one.ended for one in watchers):
                        await asyncio.sleep(0.05)
            result.cut_off = sum(one.ended for one in watchers)
    finally:
        await asyncio.to_thread(stack.close)
    result.cases = len(opened)
    result.missed = sum(len(opened - set(one.opened)) for one in watchers)
    result.doubled = sum(len(one.opened) - len(set(one.opened)) for one in watchers)
    return result


@contextlib.asynccontextmanager
async def _watching(stack: Stack, by_rpc: int, by_events: int) -> AsyncIterator[list[_Watcher]]:
    """Run watchers while the block runs."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    limits, timeout = httpx.Limits(max_connections=None), httpx.Timeout(_SECONDS, read=_PATIENCE)
    async with contextlib.AsyncExitStack() as opened:
        client = httpx.AsyncClient(base_url=stack.url("edge"), timeout=timeout, limits=limits)
        await opened.enter_async_context(client)
        channels = [
            await opened.enter_async_context(grpc.aio.insecure_channel(stack.address("edge"), options))
            for _ in range(-(-by_rpc // _ON_ONE_CONNECTION))
        ]
        watchers = [_Watcher() for _ in range(by_rpc + by_events)]
        tasks = [
            asyncio.create_task(
                one.watch_by_rpc(CaseServiceStub(channels[number // _ON_ONE_CONNECTION]))
                if number < by_rpc
                else one.watch_by_events(client)
            )
            for number, one in enumerate(watchers)
        ]
        try:
            yield watchers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _review(stack: Stack, number: int, result: WatchResult) -> set[str]:
    """Send reviews by REST and gRPC alternately, and return the cases that they opened."""
    opened, left = set[str](), list(range(number))
    async with (
        grpc.aio.insecure_channel(stack.address("edge"), (("grpc.enable_retries", 0),)) as channel,
        httpx.AsyncClient(base_url=stack.url("edge"), timeout=_SECONDS) as client,
    ):
        stub = AgentServiceStub(channel)

        async def reviewer() -> None:
            while left:
                place, name = left.pop(), uuid.uuid4().hex
                result.reviews += 1
                case_id = await (_by_rest(client, name) if place % 2 else _by_rpc(stub, name))
                if case_id is None:
                    result.refused += 1
                else:
                    opened.add(case_id)

        await asyncio.gather(*(reviewer() for _ in range(_REVIEWERS)))
    return opened


async def _by_rest(client: httpx.AsyncClient, name: str) -> str | None:
    answer = await client.post("/api/v1/review", json=ORDER | {"transaction_id": name, "user_id": name})
    return str(answer.json()["case_id"]) if answer.is_success else None


async def _by_rpc(stub: AgentServiceStub, name: str) -> str | None:
    request = pb.ReviewRequest(transaction=message(transaction_id=name, user_id=name))
    try:
        return str((await stub.Review(request, timeout=_SECONDS)).case_id)
    except grpc.aio.AioRpcError:
        return None
