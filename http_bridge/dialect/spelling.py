"""The two spellings of the contract: REST's short names and naive times, protobuf's enums and timestamps.

Everything is derived from descriptors; a new field in the contract is a new field here by itself.
"""

from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from contract.fields import EXTRAS, FIELDS, short_names
from generated.vouch.v1.transaction_pb2 import Transaction

EXTRA: Final = "extra"
"""REST's name for `extra_numbers` and `extra_texts` in one object."""
EXTRA_DESCRIPTION: Final = (
    "What the shop knows beside these fields, by name: numbers, or texts of at most 256 characters. A model trained on such "
    "columns reads them; /api/v1/model/info names them."
)
Converter = Callable[[Any], Any]
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name
_ENUMS = [(field.name, field.numbers) for field in FIELDS.values() if field.kind == "enum"]


def to_transaction(values: dict[str, Any]) -> Transaction:
    """A message from checked REST values (short enum names, protobuf's times). Changes `values`."""
    for name, numbers in _ENUMS:
        if name in values:
            values[name] = numbers[values[name]]
    sent = values.pop(EXTRA, None)
    order = Transaction(**values)
    if sent:
        for name, value in sent.items():
            if isinstance(value, str):
                order.extra_texts[name] = value
            elif value is not None:
                order.extra_numbers[name] = value
    return order


@cache
def names_of(enum: EnumDescriptor) -> Mapping[int, str | None]:
    """Short names by number; the unspecified value is null in REST."""
    return {0: None} | {number: name for name, number in short_names(enum).items()}


def to_rest(message: Message) -> dict[str, Any]:
    """A message as REST shows it: every field there, absent ones null, enums by their short names."""
    return {name: convert(message) for name, convert in _plan(message.DESCRIPTOR)}


@cache
def _plan(descriptor: Descriptor) -> list[tuple[str, Converter]]:
    plan = [(field.name, _reader(field)) for field in descriptor.fields if not is_extra(field)]
    return [*plan, (EXTRA, _extra)] if len(plan) < len(descriptor.fields) else plan


def _extra(message: Any) -> dict[str, float | str]:
    return dict(sorted([*message.extra_texts.items(), *message.extra_numbers.items()], key=itemgetter(0)))


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


def is_extra(field: FieldDescriptor) -> bool:
    """Whether a field is one of those that REST shows as `extra`."""
    message = field.containing_type
    return field.name in EXTRAS and message is not None and message.full_name == Transaction.DESCRIPTOR.full_name


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry
