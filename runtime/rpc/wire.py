"""A look at a message's bytes before they are parsed: two bytes an entry make a list of millions."""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from generated.buf.validate import validate_pb2
from runtime.rpc.errors import InvalidRequest

_LENGTH_DELIMITED = 2
_SKIPPED = {1: 8, 5: 4}  # bytes of a fixed64 and a fixed32


def bounded(descriptor: Descriptor | Any) -> Callable[[bytes], InvalidRequest | None]:
    """Says of a message's bytes what is wrong where a list at its top level has more entries than its rule allows."""
    limits = {}
    for field in descriptor.fields:
        rules: Any = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[index]
        if field.is_repeated and field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE and rules.repeated.max_items:
            limits[field.number] = (field.name, rules.repeated.max_items)
    if not limits:
        return lambda content: None

    def check(content: bytes) -> InvalidRequest | None:
        for number, (name, most) in limits.items():
            if len(content) > 2 * most and longer(content, number, most):
                return InvalidRequest([(name, f"must contain no more than {most} item(s)")])
        return None

    return check


def longer(content: bytes, number: int, most: int) -> bool:
    """Whether a field stands more than `most` times in a message. False where the bytes are no message: parsing tells that."""
    position, end, count = 0, len(content), 0
    try:
        while position < end:
            tag, position = _varint(content, position)
            kind = tag & 7
            if kind == _LENGTH_DELIMITED:
                size, position = _varint(content, position)
                position += size
                count += tag >> 3 == number
                if count > most:
                    return True
            elif kind == 0:
                _, position = _varint(content, position)
            elif kind in _SKIPPED:
                position += _SKIPPED[kind]
            else:  # groups, which proto3 does not write
                return False
    except IndexError:
        return False
    return False


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A number and the place behind it."""
    byte = content[position]
    if byte < 128:
        return byte, position + 1
    value, shift = byte & 127, 7
    while True:
        position += 1
        byte = content[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position + 1
        shift += 7
        if shift > 63:
            raise IndexError
