"""The guard around every RPC: admission, deadline, API key, validation, error mapping, metrics, failure log.

One wrapper per handler, applied at registration, does all of it. A chain of grpc.aio interceptors would cost an extra
coroutine and a lookup per interceptor and call.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
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
"""Converts a request to a message: parses bytes that came over the network. Raises InvalidRequest."""
Behaviour = TypeVar("Behaviour", bound=Callable[..., Any])
Roles = Mapping[str, Sequence[str]]
"""Roles allowed to make a call, by method path. The first one is named in errors."""
INTERNAL_MESSAGE = "internal error; see the log for the request id"
_OVERLOAD_LOG_SECONDS = 1.0
_RETRIED_SECONDS = 0.2
"""Slower UNAVAILABLE responses are not retried by clients or the edge: each attempt would take as long."""

_log = get_logger()


def self_validating(behaviour: Behaviour) -> Behaviour:
    """Mark a method that validates its requests while it reads them, so that the guard does not."""
    behaviour.self_validating = True  # type: ignore[attr-defined]
    return behaviour


def long_lived(behaviour: Behaviour) -> Behaviour:
    """Mark a stream that mostly waits for events: such streams have their own limit."""
    behaviour.long_lived = True  # type: ignore[attr-defined]
    return behaviour


def _unchanged(request: Any) -> Message:
    message: Message = request
    return message


class Guard:
    """Guard around all RPCs of one server. One of `log_every` successes is logged; 0 for none.

    Unary calls, streams and waiting streams have separate limits: `max_in_flight`, `max_streams` and `max_watchers`.
    Batch calls, marked in their metadata, use half of `max_in_flight` and queue. Key and role are checked before the
    request is parsed.
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
        self.calls = CallLimit(max_in_flight)
        self._streams, self._watchers = ConcurrencyLimit(max_streams), ConcurrencyLimit(max_watchers)
        self._log_every = self._until_log = log_every
        self._validate = validate
        self._metrics: list[MethodMetrics] = []
        self._refused, self._next_overload_log = 0, 0.0

    @property
    def in_flight(self) -> int:
        """Return the number of unary calls in progress."""
        return self.calls.in_use

    def unary(
        self, behaviour: Unary, method: MethodDescriptor, read: Read = _unchanged
    ) -> Callable[[Any, Context], Coroutine[Any, Any, Message]]:
        """Return a guarded unary handler."""
        path, metrics, clock = _method_path(method), self._add_metrics(method, "unary"), time.perf_counter
        admit, record_success, validate = self._admit, metrics.record_success, self._validator_of(behaviour)
        calls = self.calls

        async def answer(request: Any, context: Context) -> Message:
            started = clock()
            call = Call(context)
            if calls.in_use >= calls.for_batches and (calls.in_use >= calls.limit or BATCH in call.headers):
                await self._queue_for_slot(call, path, metrics, started)
            else:
                calls.in_use += 1
            try:
                admit(call, path)
                message = read(request)
                if validate is not None:
                    validate(message)
                response = await behaviour(message, call)
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:
                metrics.record(_cancellation_code(call), clock() - started)
                raise
            except Exception as error:
                await self._fail(call, path, error, metrics, started)
                raise  # not reached: abort raises
            finally:
                calls.release()
            record_success(clock() - started)
            if self._log_every:
                self._log_success(call, path, started)
            return response

        return answer

    def stream(
        self, behaviour: Stream, method: MethodDescriptor, read: Read = _unchanged
    ) -> Callable[[Any, Context], AsyncIterator[Message]]:
        """Return a guarded server-streaming handler."""
        path, metrics, clock = _method_path(method), self._add_metrics(method, "server_stream"), time.perf_counter
        validate = self._validator_of(behaviour)
        streams = self._watchers if getattr(behaviour, "long_lived", False) else self._streams

        async def answer(request: Any, context: Context) -> AsyncIterator[Message]:
            started = clock()
            if streams.in_use >= streams.limit:
                await self._refuse_overload(context, path, metrics)
            streams.in_use += 1
            call = Call(context)
            try:
                self._admit(call, path)
                message = read(request)
                if validate is not None:
                    validate(message)
                async for response in behaviour(message, call):
                    yield response
            except grpc.aio.AbortError:
                raise
            except (asyncio.CancelledError, GeneratorExit):
                metrics.record(_cancellation_code(call), clock() - started)
                raise
            except Exception as error:
                await self._fail(call, path, error, metrics, started)
            finally:
                streams.in_use -= 1
            metrics.record(grpc.StatusCode.OK, clock() - started)

        return answer

    def flush(self) -> None:
        """Update the metrics."""
        IN_FLIGHT.set(self.in_flight)
        STREAMS.set(self._streams.in_use + self._watchers.in_use)
        for metrics in self._metrics:
            metrics.flush()

    def _add_metrics(self, method: MethodDescriptor, kind: str) -> MethodMetrics:
        self._metrics.append(MethodMetrics(kind, method.containing_service.full_name, method.name))
        return self._metrics[-1]

    def _validator_of(self, behaviour: Callable[..., Any]) -> Check | None:
        return None if getattr(behaviour, "self_validating", False) else self._validate

    def _admit(self, call: Call, path: str) -> None:
        """Check deadline, key and role from the metadata. Raise VouchError."""
        remaining = call.context.time_remaining()
        if remaining is not None and remaining <= 0:
            raise DeadlinePassed("deadline passed before the call started")
        call.caller = self._authenticator.caller_of(call.headers, call.context)
        _authorise(call.caller, self._roles.get(path, ()))

    async def _queue_for_slot(self, call: Call, path: str, metrics: MethodMetrics, started: float) -> None:
        """Queue a batch call for a slot. Abort single calls, unauthorized ones, and all if the queue is full."""
        try:
            if BATCH in call.headers:
                self._admit(call, path)
                if await self.calls.acquire():
                    return
        except asyncio.CancelledError:
            metrics.record(_cancellation_code(call), time.perf_counter() - started)
            raise
        except VouchError as error:
            await self._fail(call, path, error, metrics, started)
        await self._refuse_overload(call.context, path, metrics)

    def _log_success(self, call: Call, path: str, started: float) -> None:
        self._until_log -= 1
        if self._until_log <= 0:
            self._until_log = self._log_every
            seconds = round(time.perf_counter() - started, 6)
            _log.info("request answered", method=path, code="OK", request_id=call.request_id, seconds=seconds)

    async def _refuse_overload(self, context: Context, path: str, metrics: MethodMetrics) -> None:
        """Refuse at once. Log one line per second with the count: a line per refusal would add load."""
        self._refused += 1
        if time.monotonic() >= self._next_overload_log:
            _log.warning("overloaded", method=path, refused=self._refused, in_flight=self.in_flight)
            self._refused, self._next_overload_log = 0, time.monotonic() + _OVERLOAD_LOG_SECONDS
        metrics.record(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.0)
        await context.abort_with_status(_OVERLOADED)

    async def _fail(self, call: Call, path: str, error: Exception, metrics: MethodMetrics, started: float) -> None:
        answer, request_id = error, call.request_id
        if isinstance(error, VouchError):
            # The message may contain a value of the request; log only data that is never personal.
            _log.warning(
                "request failed", method=path, code=error.code.name, request_id=request_id, metadata=error.metadata
            )
        else:
            _log.error(
                "request failed", method=path, code="INTERNAL", request_id=request_id,
                error=type(error).__name__, where=traceback_frames(error),
            )  # fmt: skip
            answer = VouchError(INTERNAL_MESSAGE, request_id=request_id)
        assert isinstance(answer, VouchError)
        seconds = time.perf_counter() - started
        metrics.record(answer.code, seconds)
        if answer.code == grpc.StatusCode.UNAVAILABLE and seconds > _RETRIED_SECONDS:
            # Neither gRPC clients nor Envoy retry a call after its headers have arrived.
            await call.context.send_initial_metadata(())
        await call.context.abort_with_status(rpc_status.to_status(to_status(answer)))


_OVERLOADED = rpc_status.to_status(to_status(Overloaded("too many requests in flight; retry in a second")))


def _authorise(caller: Caller, allowed: Sequence[str]) -> None:
    """Raise Forbidden if the role is not allowed. A method without a row in the roles table denies all roles."""
    if caller.role in allowed:
        return
    if not allowed:
        raise Forbidden("no role may make this call")
    raise Forbidden(f"this call requires the role {allowed[0]}; this key has the role {caller.role}", needed=allowed[0])


def _cancellation_code(call: Call) -> grpc.StatusCode:
    """Return CANCELLED, or DEADLINE_EXCEEDED if the deadline of the caller has passed."""
    remaining = call.remaining
    over = remaining is not None and remaining <= 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if over else grpc.StatusCode.CANCELLED


def _method_path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"
