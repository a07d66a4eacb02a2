"""What happens around every RPC: admission, deadline, API key, validation, error mapping, metrics, one line for a failure.

One wrapper put around each handler when it is registered does all of it. As a chain of grpc.aio interceptors the same
would cost an extra coroutine and a lookup for each link and each call.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_status import rpc_status

from runtime.access.caller import Caller
from runtime.errors import (
    DeadlinePassed,
    Forbidden,
    Overloaded,
    VouchError,
    to_status,
)
from runtime.rpc.authentication import Authenticator
from runtime.rpc.call import BATCH, Call, Context
from runtime.rpc.concurrency import CallLimit, ConcurrencyLimit
from runtime.telemetry.logging import get_logger
from runtime.telemetry.metrics import IN_FLIGHT, STREAMS, MethodMetrics
from runtime.telemetry.tracebacks import traceback_frames
from runtime.validation.checks import check

Unary = Callable[[Any, Call], Awaitable[Message]]
Stream = Callable[[Any, Call], AsyncIterator[Message]]
Check = Callable[[Message], None]
Read = Callable[[Any], Message]
"""Makes a message of what came: of its bytes, where it came over a wire. Raises InvalidRequest."""
Behaviour = TypeVar("Behaviour", bound=Callable[..., Any])
Roles = Mapping[str, Sequence[str]]
"""Roles that may make a call, by its path; the first is the one to ask for."""
INTERNAL_MESSAGE = "internal error; the log has it under the request id"
_OVERLOAD_LOG_SECONDS = 1.0
_RETRIED_SECONDS = 0.2
"""An answer UNAVAILABLE that took longer is not retried on the way: each attempt would take as long again."""

_log = get_logger()


def self_validating(behaviour: Behaviour) -> Behaviour:
    """Marks a method that checks its requests while it reads them; the guard leaves that to it."""
    behaviour.self_validating = True  # type: ignore[attr-defined]
    return behaviour


def long_lived(behaviour: Behaviour) -> Behaviour:
    """Marks a stream that mostly waits for news: such streams have places of their own."""
    behaviour.long_lived = True  # type: ignore[attr-defined]
    return behaviour


def _as_it_is(request: Any) -> Message:
    message: Message = request
    return message


class Guard:
    """Stands around all RPCs of one server. `log_every` says which successes get a line: every so many; 0 for none.

    Calls that work, streams of answers and those that wait for news are bounded apart: `max_in_flight`, `max_streams` and
    `max_watchers`. Calls of batches, which say so in their metadata, use half of the places of calls and wait for them.
    Nothing of a request but its metadata is looked at before its key and role were.
    """

    def __init__(
        self,
        *,
        max_in_flight: int,
        max_streams: int = 64,
        max_watchers: int = 512,
        roles: Roles,
        authenticator: Authenticator | None = None,
        log_every: int = 0,
        validate: Check = check,
    ) -> None:
        self._authenticator, self._roles = authenticator or Authenticator(), roles
        self.places = CallLimit(max_in_flight)
        self._streams, self._watchers = ConcurrencyLimit(max_streams), ConcurrencyLimit(max_watchers)
        self._log_every = self._until_line = log_every
        self._validate = validate
        self._metrics: list[MethodMetrics] = []
        self._refused, self._next_overload_log = 0, 0.0

    @property
    def in_flight(self) -> int:
        """Calls that are worked on."""
        return self.places.taken

    def unary(
        self, behaviour: Unary, method: MethodDescriptor, read: Read = _as_it_is
    ) -> Callable[[Any, Context], Awaitable[Message]]:
        """A unary handler with everything around it."""
        path, counted, clock = _path(method), self._counted(method, "unary"), time.perf_counter
        admit, succeeded, validate = self._admit, counted.succeeded, self._check_of(behaviour)
        places = self.places

        async def answer(request: Any, context: Context) -> Message:
            begun = clock()
            call = Call(context)
            if places.taken >= places.for_batches and (places.taken >= places.most or BATCH in call.headers):
                await self._wait_for_place(call, path, counted, begun)
            else:
                places.taken += 1
            try:
                admit(call, path)
                message = read(request)
                if validate is not None:
                    validate(message)
                response = await behaviour(message, call)
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:
                counted.ended(_why_cancelled(call), clock() - begun)
                raise
            except Exception as error:
                await self._fail(call, path, error, counted, begun)
                raise  # not reached: abort raises
            finally:
                places.leave()
            succeeded(clock() - begun)
            if self._log_every:
                self._sample(call, path, begun)
            return response

        return answer

    def stream(
        self, behaviour: Stream, method: MethodDescriptor, read: Read = _as_it_is
    ) -> Callable[[Any, Context], AsyncIterator[Message]]:
        """A server-streaming handler with everything around it."""
        path, counted, clock = _path(method), self._counted(method, "server_stream"), time.perf_counter
        validate = self._check_of(behaviour)
        places = self._watchers if getattr(behaviour, "long_lived", False) else self._streams

        async def answer(request: Any, context: Context) -> AsyncIterator[Message]:
            begun = clock()
            if places.taken >= places.most:
                await self._overloaded(context, path, counted)
            places.taken += 1
            call = Call(context)
            try:
                self._admit(call, path)
                asked = read(request)
                if validate is not None:
                    validate(asked)
                async for message in behaviour(asked, call):
                    yield message
            except grpc.aio.AbortError:
                raise
            except (asyncio.CancelledError, GeneratorExit):
                counted.ended(_why_cancelled(call), clock() - begun)
                raise
            except Exception as error:
                await self._fail(call, path, error, counted, begun)
            finally:
                places.taken -= 1
            counted.ended(grpc.StatusCode.OK, clock() - begun)

        return answer

    def flush(self) -> None:
        """Bring the metrics up to date."""
        IN_FLIGHT.set(self.in_flight)
        STREAMS.set(self._streams.taken + self._watchers.taken)
        for counted in self._metrics:
            counted.flush()

    def _counted(self, method: MethodDescriptor, kind: str) -> MethodMetrics:
        self._metrics.append(MethodMetrics(kind, method.containing_service.full_name, method.name))
        return self._metrics[-1]

    def _check_of(self, behaviour: Callable[..., Any]) -> Check | None:
        return None if getattr(behaviour, "self_validating", False) else self._validate

    def _admit(self, call: Call, path: str) -> None:
        """Raise VouchError where a call may not be worked on. Looks at its metadata alone."""
        remaining = call.context.time_remaining()
        if remaining is not None and remaining <= 0:
            raise DeadlinePassed("the deadline passed before the work began")
        call.caller = self._authenticator.caller_of(call.headers, call.context)
        _authorise(call.caller, self._roles.get(path, ()))

    async def _wait_for_place(self, call: Call, path: str, counted: MethodMetrics, begun: float) -> None:
        """Take a place for a call of a batch, in its turn; refuse a single one, and who may not make this call."""
        try:
            if BATCH in call.headers:
                self._admit(call, path)
                if await self.places.wait():
                    return
        except asyncio.CancelledError:
            counted.ended(_why_cancelled(call), time.perf_counter() - begun)
            raise
        except VouchError as error:
            await self._fail(call, path, error, counted, begun)
        await self._overloaded(call.context, path, counted)

    def _sample(self, call: Call, path: str, begun: float) -> None:
        self._until_line -= 1
        if self._until_line <= 0:
            self._until_line = self._log_every
            took = round(time.perf_counter() - begun, 6)
            _log.info("request answered", method=path, code="OK", request_id=call.request_id, seconds=took)

    async def _overloaded(self, context: Context, path: str, counted: MethodMetrics) -> None:
        """Refuse at once. One line a second tells how many: a line for each would be load of its own."""
        self._refused += 1
        if time.monotonic() >= self._next_overload_log:
            _log.warning("overloaded", method=path, refused=self._refused, in_flight=self.in_flight)
            self._refused, self._next_overload_log = 0, time.monotonic() + _OVERLOAD_LOG_SECONDS
        counted.ended(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.0)
        await context.abort_with_status(_OVERLOADED)

    async def _fail(self, call: Call, path: str, error: Exception, counted: MethodMetrics, begun: float) -> None:
        answer, identity = error, call.request_id
        if isinstance(error, VouchError):
            # The message may name a value the caller sent; the log gets only what is never personal.
            _log.warning(
                "request failed", method=path, code=error.code.name, request_id=identity, metadata=error.metadata
            )
        else:
            _log.error(
                "request failed", method=path, code="INTERNAL", request_id=identity,
                error=type(error).__name__, where=traceback_frames(error),
            )  # fmt: skip
            answer = VouchError(INTERNAL_MESSAGE, request_id=identity)
        assert isinstance(answer, VouchError)
        seconds = time.perf_counter() - begun
        counted.ended(answer.code, seconds)
        if answer.code == grpc.StatusCode.UNAVAILABLE and seconds > _RETRIED_SECONDS:
            # Neither gRPC's clients nor Envoy retry a call whose headers they have.
            await call.context.send_initial_metadata(())
        await call.context.abort_with_status(rpc_status.to_status(to_status(answer)))


_OVERLOADED = rpc_status.to_status(to_status(Overloaded("too many requests are in flight: try again in a second")))


def _authorise(caller: Caller, allowed: Sequence[str]) -> None:
    """Raise Forbidden where a caller's role is not allowed. A method without a row in the roles table allows nobody."""
    if caller.role in allowed:
        return
    if not allowed:
        raise Forbidden("this call is open to no role")
    raise Forbidden(f"this call needs a key of role {allowed[0]}, yours is {caller.role}", needed=allowed[0])


def _why_cancelled(call: Call) -> grpc.StatusCode:
    """The caller went away, or its deadline passed."""
    remaining = call.remaining
    over = remaining is not None and remaining <= 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if over else grpc.StatusCode.CANCELLED


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"
