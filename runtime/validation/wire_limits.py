"""Checks list lengths in the bytes of a message before parsing: at two bytes per entry a list can have millions."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from generated.buf.validate import validate_pb2
from runtime.errors import InvalidRequest

_LENGTH_DELIMITED = 2
_SKIPPED = {1: 8, 5: 4}  # sizes in bytes of fixed64 and fixed32
_OTHER_ENTRIES: Final = 64
"""Entries allowed in addition to lists: fields of the contract, and unknown fields of later versions."""


def list_limit_check(descriptor: Descriptor | Any) -> Callable[[bytes], InvalidRequest | None]:
    """Return a check that returns InvalidRequest if a top-level list has more entries than its rule allows.

    It scans the bytes entry by entry, and at most as many entries as a valid message can have, so that the work is
    bounded.
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
        number = find_excess(content, limits, entries)
        if number is None:
            return None
        if number in names:
            return InvalidRequest([(names[number], f"must contain no more than {limits[number]} item(s)")])
        return InvalidRequest([("", f"the message has more than {entries} entries; remove unknown fields")])

    return check


def find_excess(content: bytes, limits: Mapping[int, int], entries: int) -> int | None:
    """Return the number of a field that exceeds its limit, or 0 if the message has more than `entries` entries.

    Return None if all is within the limits, or the bytes are no message, which parsing will report.
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
    """Return a number and the position after it."""
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
