"""What happens around every RPC: admission, deadline, API key, validation, error mapping, metrics, one line for a failure.

One wrapper put around each handler when it is registered does all of it. As a chain of grpc.aio interceptors the same
would cost an extra coroutine and a lookup for each link and each call.
"""

import asyncio
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from runtime.errors import DeadlinePassed, InvalidRequest, Overloaded, Unauthenticated, VouchError, to_status
from runtime.logging import get_logger
from runtime.metrics import IN_FLIGHT, MethodMetrics
from runtime.security import ApiKeys, presented_key
from runtime.validation import check
from runtime.wire import bounded

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Any], Awaitable[Message]]
INTERNAL_MESSAGE = "internal error; the log has it under the request id"
REQUEST_ID = "x-request-id"
_OVERLOAD_LOG_SECONDS = 1.0

_log = get_logger()


def headers(context: Context) -> dict[str, str]:
    """The text metadata of a call, names in lower case as gRPC sends them."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def request_id(context: Context) -> str:
    """The caller's request id, or a new one."""
    return identified(headers(context).get(REQUEST_ID, ""))


def identified(given: str) -> str:
    """A request id as it was given, where it can stand in headers and logs; else a new one."""
    return given if 0 < len(given) <= 128 and travels(given) else uuid.uuid4().hex


def travels(value: str) -> bool:
    """Whether gRPC takes a text as metadata."""
    return value.isascii() and value.isprintable()


def where(error: BaseException) -> list[str]:
    """File, line and function of each step to an error. Not its message, which could hold a value of an order."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


class Guard:
    """Stands around all RPCs of one server. `log_every` says which successes get a line: every so many; 0 for none."""

    def __init__(
        self,
        *,
        max_in_flight: int,
        keys: ApiKeys | None = None,
        log_every: int = 0,
        validate: Callable[[Message], None] = check,
    ) -> None:
        self.in_flight = 0
        self._keys = keys
        self._most = max_in_flight
        self._log_every = log_every
        self._until_line = log_every
        self._validate = validate
        self._metrics: list[MethodMetrics] = []
        self._refused, self._tell_refused = 0, 0.0

    def unary(self, behaviour: Behaviour, method: MethodDescriptor) -> Behaviour:
        """A unary handler with everything around it."""
        path, counted = _path(method), self._counted(method, "unary")
        succeeded = counted.succeeded
        validate, clock = self._validate, time.perf_counter

        async def call(request: Message | InvalidRequest, context: Context) -> Message:
            begun = clock()
            if self.in_flight >= self._most:
                await self._overloaded(context, path, counted)
            self.in_flight += 1
            try:
                remaining = context.time_remaining()
                if remaining is not None and remaining <= 0:
                    raise DeadlinePassed("the deadline passed before the work began")
                if self._keys is not None:
                    self._authenticate(context, self._keys)
                if isinstance(request, InvalidRequest):
                    raise request
                validate(request)
                response = await behaviour(request, context)
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:  # the caller went away or its deadline passed
                counted.ended(grpc.StatusCode.CANCELLED, clock() - begun)
                raise
            except Exception as error:
                await self._fail(context, path, error, counted, begun)
                raise  # not reached: abort raises
            finally:
                self.in_flight -= 1
            succeeded(clock() - begun)
            if self._log_every:
                self._sample(context, path, begun)
            return response

        return call

    def stream(self, behaviour: Callable[[Any, Any], AsyncIterator[Message]], method: MethodDescriptor) -> Any:
        """A server-streaming handler with everything around it."""
        path, counted = _path(method), self._counted(method, "server_stream")

        async def call(request: Message | InvalidRequest, context: Context) -> AsyncIterator[Message]:
            begun = time.perf_counter()
            if self.in_flight >= self._most:
                await self._overloaded(context, path, counted)
            with self._one_more():
                try:
                    if self._keys is not None:
                        self._authenticate(context, self._keys)
                    if isinstance(request, InvalidRequest):
                        raise request
                    self._validate(request)
                    async for message in behaviour(request, context):
                        yield message
                except grpc.aio.AbortError:
                    raise
                except Exception as error:
                    await self._fail(context, path, error, counted, begun)
            counted.ended(grpc.StatusCode.OK, time.perf_counter() - begun)

        return call

    def _counted(self, method: MethodDescriptor, kind: str) -> MethodMetrics:
        self._metrics.append(MethodMetrics(kind, method.containing_service.full_name, method.name))
        return self._metrics[-1]

    def flush(self) -> None:
        """Bring the metrics up to date."""
        IN_FLIGHT.set(self.in_flight)
        for counted in self._metrics:
            counted.flush()

    @contextmanager
    def _one_more(self) -> Iterator[None]:
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def _authenticate(self, context: Context, keys: ApiKeys) -> None:
        key = presented_key(headers(context))
        if not key:
            raise Unauthenticated("an API key is needed: send it as x-api-key")
        if keys.name_of(key) is None:
            raise Unauthenticated("this API key is not known")

    def _sample(self, context: Context, path: str, begun: float) -> None:
        self._until_line -= 1
        if self._until_line <= 0:
            self._until_line = self._log_every
            took = round(time.perf_counter() - begun, 6)
            _log.info("request answered", method=path, code="OK", request_id=request_id(context), seconds=took)

    async def _overloaded(self, context: Context, path: str, counted: MethodMetrics) -> None:
        """Refuse at once. One line a second tells how many: a line for each would be load of its own."""
        self._refused += 1
        if time.monotonic() >= self._tell_refused:
            _log.warning("overloaded", method=path, refused=self._refused, in_flight=self.in_flight)
            self._refused, self._tell_refused = 0, time.monotonic() + _OVERLOAD_LOG_SECONDS
        counted.ended(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.0)
        await context.abort_with_status(_OVERLOADED)

    async def _fail(self, context: Context, path: str, error: Exception, counted: MethodMetrics, begun: float) -> None:
        identity, answer = request_id(context), error
        if isinstance(error, VouchError):
            # The message may name a value the caller sent; the log gets only what is never personal.
            _log.warning(
                "request failed", method=path, code=error.code.name, request_id=identity, metadata=error.metadata
            )
        else:
            _log.error(
                "request failed", method=path, code="INTERNAL", request_id=identity,
                error=type(error).__name__, where=where(error),
            )  # fmt: skip
            answer = VouchError(INTERNAL_MESSAGE, request_id=identity)
        assert isinstance(answer, VouchError)
        counted.ended(answer.code, time.perf_counter() - begun)
        await context.abort_with_status(rpc_status.to_status(to_status(answer)))


_OVERLOADED = rpc_status.to_status(to_status(Overloaded("too many requests are in flight: try again in a second")))


def handlers(service: ServiceDescriptor, servicer: Any, guard: Guard) -> grpc.GenericRpcHandler:
    """The handlers of a service: each RPC of the contract and the servicer's method of that name, guarded."""
    found = {method.name: _handler(method, getattr(servicer, method.name), guard) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, found)


def _handler(method: MethodDescriptor, behaviour: Any, guard: Guard) -> Any:
    reads = _lenient(method.input_type)
    writes = GetMessageClass(method.output_type).SerializeToString
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(
            guard.stream(behaviour, method), request_deserializer=reads, response_serializer=writes
        )
    return grpc.unary_unary_rpc_method_handler(
        guard.unary(behaviour, method),  # type: ignore[arg-type]
        request_deserializer=reads,
        response_serializer=writes,
    )


def _lenient(descriptor: Descriptor) -> Callable[[bytes], Message | InvalidRequest]:
    """Reads a message, or gives what is wrong with its bytes: raised from here, it would reach the caller as gRPC words it."""
    reads, too_long = GetMessageClass(descriptor).FromString, bounded(descriptor)

    def read(content: bytes) -> Message | InvalidRequest:
        try:
            return too_long(content) or reads(content)
        except DecodeError:
            return InvalidRequest([("", f"the bytes are no {descriptor.full_name}")])

    return read


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"
