"""gRPC handlers of a service: every RPC of the contract, guarded, with list limits checked before parsing."""

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from runtime.errors import InvalidRequest
from runtime.rpc.guard import Guard
from runtime.validation.wire_limits import list_limit_check


def handlers(service: ServiceDescriptor, servicer: Any, guard: Guard) -> grpc.GenericRpcHandler:
    """Return the handlers of a service: for each RPC of the contract the guarded method of that name.

    A method takes the request and the Call; a streaming one returns an asynchronous iterator.
    """
    by_name = {method.name: _handler(method, getattr(servicer, method.name), guard) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, by_name)


def _handler(method: MethodDescriptor, behaviour: Any, guard: Guard) -> Any:
    parse, serialize = reader(method.input_type), GetMessageClass(method.output_type).SerializeToString
    if method.server_streaming:
        make_handler, guarded = grpc.unary_stream_rpc_method_handler, guard.stream(behaviour, method, parse)
    else:
        make_handler, guarded = grpc.unary_unary_rpc_method_handler, guard.unary(behaviour, method, parse)  # type: ignore[assignment]
    # Without a deserializer the guard gets bytes, and parses them only after authentication and admission.
    return make_handler(guarded, response_serializer=serialize)


def reader(descriptor: Descriptor) -> Callable[[bytes], Message]:
    """Return a parser that raises InvalidRequest for invalid bytes, and for lists longer than the contract allows."""
    parse, find_oversized_list = GetMessageClass(descriptor).FromString, list_limit_check(descriptor)

    def read(content: bytes) -> Message:
        if error := find_oversized_list(content):
            raise error
        try:
            return parse(content)
        except DecodeError:
            raise InvalidRequest([("", f"is not a valid {descriptor.full_name}")]) from None

    return read
