"""What happens around every RPC: validation, deadline, error mapping, one log line for each failure.

One wrapper put around each handler when it is registered does all of it. As a chain of grpc.aio interceptors the same
would cost an extra coroutine and a lookup for each link and each call.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from runtime.errors import DeadlinePassed, VouchError, to_status
from runtime.validation import check

Behaviour = Callable[[Any, Any], Awaitable[Message]]
INTERNAL_MESSAGE = "internal error; the log has it under the request id"
REQUEST_ID = "x-request-id"

_log = structlog.get_logger()


def request_id(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The caller's request id, or a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and 0 < len(value) <= 128 and value.isprintable():
            return value
    return uuid.uuid4().hex


async def _fail(context: grpc.aio.ServicerContext[Any, Any], method: str, error: Exception) -> None:
    known = isinstance(error, VouchError)
    identity = request_id(context)
    if known:
        assert isinstance(error, VouchError)
        # The message may name a value the caller sent; the log gets only what is never personal.
        _log.warning(
            "request failed", method=method, code=error.code.name, request_id=identity, metadata=error.metadata
        )
        answer = error
    else:
        _log.error("request failed", method=method, code="INTERNAL", request_id=identity, exc_info=error)
        answer = VouchError(INTERNAL_MESSAGE, request_id=identity)
    await context.abort_with_status(rpc_status.to_status(to_status(answer)))


def around(behaviour: Behaviour, method: str) -> Behaviour:
    """A unary handler with everything around it."""

    async def call(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        try:
            remaining = context.time_remaining()
            if remaining is not None and remaining <= 0:
                raise DeadlinePassed("the deadline passed before the work began")
            check(request)
            return await behaviour(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _fail(context, method, error)
            raise  # not reached: abort raises

    return call


def around_stream(behaviour: Callable[[Any, Any], AsyncIterator[Message]], method: str) -> Any:
    """A server-streaming handler with everything around it."""

    async def call(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
        try:
            check(request)
            async for message in behaviour(request, context):
                yield message
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _fail(context, method, error)

    return call


def handlers(service: ServiceDescriptor, servicer: Any) -> grpc.GenericRpcHandler:
    """The handlers of a service: each RPC of the contract and the servicer's method of that name, wrapped."""
    return grpc.method_handlers_generic_handler(
        service.full_name, {method.name: _handler(method, getattr(servicer, method.name)) for method in service.methods}
    )


def _handler(method: MethodDescriptor, behaviour: Any) -> Any:
    path = f"/{method.containing_service.full_name}/{method.name}"
    reads = GetMessageClass(method.input_type).FromString
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(
            around_stream(behaviour, path),  # type: ignore[arg-type]
            request_deserializer=reads,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
    return grpc.unary_unary_rpc_method_handler(
        around(behaviour, path),  # type: ignore[arg-type]
        request_deserializer=reads,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
