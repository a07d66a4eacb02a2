"""In-process calls to a server: same guard, limits, metrics, keys, deadlines and errors as over the network."""

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from runtime.rpc.guard import Guard
from runtime.time_limit import run_within

Metadata = Sequence[tuple[str, str]]
Stream = AsyncGenerator[Message, None]
Handler = Callable[[Any, Any], Coroutine[Any, Any, Message]]


class LocalStub:
    """In-process counterpart of a generated stub: a method for each RPC of a service."""

    def __init__(self, service: ServiceDescriptor, servicer: Any, guard: Guard) -> None:
        for method in service.methods:
            behaviour = getattr(servicer, method.name)
            if method.server_streaming:
                setattr(self, method.name, _streaming(guard.stream(behaviour, method)))
            else:
                setattr(self, method.name, _unary(guard.unary(behaviour, method)))


class LocalHealth:
    """In-process health checks, which are not guarded."""

    def __init__(self, health: Any) -> None:
        self.Check, self.List = _unary(health.Check), _unary(health.List)


def _unary(answer: Handler) -> Callable[..., "LocalCall"]:
    def call(request: Message, *, timeout: float | None = None, metadata: Metadata = ()) -> LocalCall:
        return LocalCall(answer, request, timeout, metadata)

    return call


def _streaming(answers: Callable[[Any, Any], AsyncIterator[Message]]) -> Callable[..., AsyncIterator[Message]]:
    def call(request: Message, *, timeout: float | None = None, metadata: Metadata = ()) -> AsyncIterator[Message]:
        return _relay(cast(Stream, answers(request, LocalContext(timeout, metadata))))

    return call


async def _relay(answers: Stream) -> AsyncIterator[Message]:
    async with contextlib.aclosing(answers):
        try:
            async for answer in answers:
                yield answer
        except _Aborted as aborted:
            raise _rpc_error(aborted.code, aborted.details, aborted.trailing) from aborted


class LocalCall:
    """A pending call like those of grpc.aio: awaitable, with the initial metadata of the server."""

    def __init__(self, answer: Handler, request: Message, timeout: float | None, metadata: Metadata) -> None:
        self._handler, self._request, self._timeout = answer, request, timeout
        self._context = LocalContext(timeout, metadata)

    def __await__(self) -> Generator[Any, None, Message]:
        return self._run().__await__()

    async def initial_metadata(self) -> Metadata:
        """Return the headers sent before the response."""
        return self._context.sent

    async def _run(self) -> Message:
        try:
            return await run_within(self._timeout, self._handler(self._request, self._context))
        except TimeoutError as error:
            raise _rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ()) from error
        except _Aborted as aborted:
            raise _rpc_error(aborted.code, aborted.details, aborted.trailing) from aborted


class _Aborted(grpc.aio.AbortError):
    """A call that the server aborted with a status."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing: Any) -> None:
        super().__init__(details)
        self.code, self.details, self.trailing = code, details, trailing


class LocalContext:
    """Server-side context of an in-process call: the part of grpc.aio's context that our servers use."""

    def __init__(self, timeout: float | None, metadata: Metadata) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._metadata = metadata
        self.sent: Metadata = ()

    def peer(self) -> str:
        """Return the peer, which is this process."""
        return "inprocess:"

    def auth_context(self) -> dict[str, Sequence[bytes]]:
        """Return an empty context: there are no certificates within a process."""
        return {}

    def invocation_metadata(self) -> Metadata:
        """Return the metadata of the caller."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline of the caller; None without a deadline."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    async def send_initial_metadata(self, metadata: Metadata) -> None:
        """Send headers before the response."""
        self.sent = metadata

    async def abort_with_status(self, status: Any) -> None:
        """Abort the call with a rich status."""
        raise _Aborted(status.code, status.details, status.trailing_metadata)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        """Abort the call with a status."""
        raise _Aborted(code, details, trailing_metadata)


def _rpc_error(code: grpc.StatusCode, details: str, trailing: Mapping[str, Any] | Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)
