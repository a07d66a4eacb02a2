"""The handlers of a service: each RPC of the contract, guarded, its bytes looked at before they are parsed."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from runtime.errors import InvalidRequest
from runtime.rpc.guard import Guard
from runtime.validation.wire_limits import bounded


def handlers(service: ServiceDescriptor, servicer: Any, guard: Guard) -> grpc.GenericRpcHandler:
    """The handlers of a service: each RPC of the contract and the servicer's method of that name, guarded.

    A method takes the request and the Call; one that streams gives an asynchronous iterator.
    """
    by_name = {method.name: _handler(method, getattr(servicer, method.name), guard) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, by_name)


def _handler(method: MethodDescriptor, behaviour: Any, guard: Guard) -> Any:
    reads, writes = reader(method.input_type), GetMessageClass(method.output_type).SerializeToString
    if method.server_streaming:
        made, guarded = grpc.unary_stream_rpc_method_handler, guard.stream(behaviour, method, reads)
    else:
        made, guarded = grpc.unary_unary_rpc_method_handler, guard.unary(behaviour, method, reads)  # type: ignore[assignment]
    # Without a deserializer the guard gets the bytes: they are read once it is known who calls, and that there is room.
    return made(guarded, response_serializer=writes)


def reader(descriptor: Descriptor) -> Callable[[bytes], Message]:
    """Reads a message; raises InvalidRequest where the bytes are none, or hold longer lists than the contract allows."""
    reads, too_long = GetMessageClass(descriptor).FromString, bounded(descriptor)

    def read(content: bytes) -> Message:
        if refusal := too_long(content):
            raise refusal
        try:
            return reads(content)
        except DecodeError:
            raise InvalidRequest([("", f"the bytes are no {descriptor.full_name}")]) from None

    return read
