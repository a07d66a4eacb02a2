"""The two spellings of the contract: REST's short names and naive times, protobuf's enums and timestamps.

Everything is derived from descriptors; a new field in the contract is a new field here by itself.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from contract.fields import FIELDS, short_names
from generated.vouch.v1.transaction_pb2 import Transaction

Converter = Callable[[Any], Any]
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name
_ENUMS = [(field.name, field.numbers) for field in FIELDS.values() if field.kind == "enum"]


def to_transaction(values: dict[str, Any]) -> Transaction:
    """A message from checked REST values (short enum names, protobuf's times). Changes `values`."""
    for name, numbers in _ENUMS:
        if name in values:
            values[name] = numbers[values[name]]
    return Transaction(**values)


@cache
def names_of(enum: EnumDescriptor) -> Mapping[int, str | None]:
    """Short names by number; the unspecified value is null in REST."""
    return {0: None} | {number: name for name, number in short_names(enum).items()}


def to_rest(message: Message) -> dict[str, Any]:
    """A message as REST shows it: every field there, absent ones null, enums by their short names."""
    return {name: convert(message) for name, convert in _plan(message.DESCRIPTOR)}


@cache
def _plan(descriptor: Descriptor) -> list[tuple[str, Converter]]:
    return [(field.name, _reader(field)) for field in descriptor.fields]


def _reader(field: FieldDescriptor) -> Converter:
    name, value = field.name, _value(field)
    if is_map(field):
        return lambda message: dict(sorted(getattr(message, name).items()))
    if field.is_repeated:
        return lambda message: [value(item) for item in getattr(message, name)]
    if field.has_presence:
        return lambda message: value(getattr(message, name)) if message.HasField(name) else None
    return lambda message: value(getattr(message, name))


def _value(field: FieldDescriptor) -> Converter:
    if field.enum_type is not None:
        names = names_of(field.enum_type)
        return names.__getitem__
    if field.message_type is None:
        return _same
    if field.message_type.full_name == _TIMESTAMP:
        return Timestamp.ToJsonString
    return to_rest


def _same(value: Any) -> Any:
    return value


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry
