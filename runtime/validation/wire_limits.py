"""A look at a message's bytes before they are parsed: two bytes an entry make a list of millions."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from generated.buf.validate import validate_pb2
from runtime.errors import InvalidRequest

_LENGTH_DELIMITED = 2
_SKIPPED = {1: 8, 5: 4}  # bytes of a fixed64 and a fixed32
_OTHER_ENTRIES: Final = 64
"""Entries that a message may have beside its lists: fields of the contract, and unknown ones of a later version of it."""


def bounded(descriptor: Descriptor | Any) -> Callable[[bytes], InvalidRequest | None]:
    """Says of a message's bytes what is wrong where a list at its top level has more entries than its rule allows.

    The bytes are looked at one entry after another, and never more entries than a message within its rules can have: the
    work is bounded whatever is sent.
    """
    limits, names = {}, {}
    for field in descriptor.fields:
        rules: Any = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[index]
        delimited = field.cpp_type in (FieldDescriptor.CPPTYPE_MESSAGE, FieldDescriptor.CPPTYPE_STRING)
        if field.is_repeated and delimited and rules.repeated.max_items:
            limits[field.number], names[field.number] = rules.repeated.max_items, field.name
    if not limits:
        return lambda content: None
    shortest, entries = 2 * min(limits.values()), sum(limits.values()) + _OTHER_ENTRIES

    def check(content: bytes) -> InvalidRequest | None:
        if len(content) <= shortest:
            return None
        number = excess(content, limits, entries)
        if number is None:
            return None
        if number in names:
            return InvalidRequest([(names[number], f"must contain no more than {limits[number]} item(s)")])
        return InvalidRequest([("", f"the message has more than {entries} entries: leave out what is no field of it")])

    return check


def excess(content: bytes, limits: Mapping[int, int], entries: int) -> int | None:
    """The number of a field that stands more often than its limit in a message, or 0 where it has more than `entries`.

    None where all is within bounds, and where the bytes are no message: parsing tells that.
    """
    position, end, left = 0, len(content), dict(limits)
    try:
        for _ in range(entries):
            if position >= end:
                return None
            tag, position = _varint(content, position)
            kind = tag & 7
            if kind == _LENGTH_DELIMITED:
                size, position = _varint(content, position)
                position += size
                number = tag >> 3
                if number in left:
                    left[number] -= 1
                    if left[number] < 0:
                        return number
            elif kind == 0:
                _, position = _varint(content, position)
            elif kind in _SKIPPED:
                position += _SKIPPED[kind]
            else:  # groups, which proto3 does not write
                return None
    except IndexError:
        return None
    return 0 if position < end else None


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
