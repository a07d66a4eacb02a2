"""Calls to a server in the same process: no wire, but the same guard, limits, metrics, keys, deadlines and errors."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from runtime.rpc.guard import Guard

Metadata = Sequence[tuple[str, str]]
Stream = AsyncGenerator[Message, None]
Answer = Callable[[Any, Any], Awaitable[Message]]


class LocalStub:
    """What a generated stub is to a channel: a method for each RPC of a service."""

    def __init__(self, service: ServiceDescriptor, servicer: Any, guard: Guard) -> None:
        for method in service.methods:
            behaviour = getattr(servicer, method.name)
            if method.server_streaming:
                setattr(self, method.name, _streaming(guard.stream(behaviour, method)))
            else:
                setattr(self, method.name, _method(guard.unary(behaviour, method)))


class LocalHealth:
    """Health checks of a server in the same process, which no guard stands around."""

    def __init__(self, health: Any) -> None:
        self.Check, self.List = _method(health.Check), _method(health.List)


def _method(answer: Answer) -> Callable[..., "LocalCall"]:
    def call(request: Message, *, timeout: float | None = None, metadata: Metadata = ()) -> LocalCall:
        return LocalCall(answer, request, timeout, metadata)

    return call


def _streaming(answers: Callable[[Any, Any], AsyncIterator[Message]]) -> Callable[..., AsyncIterator[Message]]:
    def call(request: Message, *, timeout: float | None = None, metadata: Metadata = ()) -> AsyncIterator[Message]:
        return _answers(cast(Stream, answers(request, LocalContext(timeout, metadata))))

    return call


async def _answers(answers: Stream) -> AsyncIterator[Message]:
    async with contextlib.aclosing(answers):
        try:
            async for answer in answers:
                yield answer
        except _Aborted as aborted:
            raise _failed(aborted.code, aborted.details, aborted.trailing) from aborted


class LocalCall:
    """One call under way, as grpc.aio shows one to its caller: to be awaited, with the headers that came before the answer."""

    def __init__(self, answer: Answer, request: Message, timeout: float | None, metadata: Metadata) -> None:
        self._answer, self._request, self._timeout = answer, request, timeout
        self._context = LocalContext(timeout, metadata)

    def __await__(self) -> Generator[Any, None, Message]:
        return self._made().__await__()

    async def initial_metadata(self) -> Metadata:
        """What the server sent before its answer."""
        return self._context.sent

    async def _made(self) -> Message:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._answer(self._request, self._context)
        except TimeoutError as error:
            raise _failed(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ()) from error
        except _Aborted as aborted:
            raise _failed(aborted.code, aborted.details, aborted.trailing) from aborted


class _Aborted(grpc.aio.AbortError):
    """A call that the server ended with a status."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing: Any) -> None:
        super().__init__(details)
        self.code, self.details, self.trailing = code, details, trailing


class LocalContext:
    """What a server sees of a call in its own process: as much of grpc.aio's context as our servers use."""

    def __init__(self, timeout: float | None, metadata: Metadata) -> None:
        self._until = None if timeout is None else time.monotonic() + timeout
        self._metadata = metadata
        self.sent: Metadata = ()

    def peer(self) -> str:
        """The caller is this process."""
        return "inprocess:"

    def auth_context(self) -> dict[str, Sequence[bytes]]:
        """No certificate is shown within a process."""
        return {}

    def invocation_metadata(self) -> Metadata:
        """What the caller sent along."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None where there is none."""
        return None if self._until is None else self._until - time.monotonic()

    async def send_initial_metadata(self, metadata: Metadata) -> None:
        """Show the caller headers before the answer."""
        self.sent = metadata

    async def abort_with_status(self, status: Any) -> None:
        """End the call with a rich status."""
        raise _Aborted(status.code, status.details, status.trailing_metadata)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        """End the call with a status."""
        raise _Aborted(code, details, trailing_metadata)


def _failed(code: grpc.StatusCode, details: str, trailing: Mapping[str, Any] | Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)
