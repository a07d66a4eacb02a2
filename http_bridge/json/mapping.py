"""Mapping between REST's values (short enum names, times as text) and protobuf's enums and timestamps.

Everything is derived from descriptors, so a new field of the contract needs no change here.
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
    "The shop's own fields by name: numbers, or strings of at most 256 characters. A model trained on such columns uses them; "
    "/api/v1/model/info lists them."
)
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name
_ENUMS = [(field.name, field.numbers) for field in FIELDS.values() if field.kind == "enum"]


def to_transaction(values: dict[str, Any]) -> Transaction:
    """Return the message of validated REST values (short enum names, protobuf timestamps). Modifies `values`."""
    for name, numbers in _ENUMS:
        if name in values:
            values[name] = numbers[values[name]]
    extra = values.pop(EXTRA, None)
    order = Transaction(**values)
    if extra:
        for name, value in extra.items():
            if isinstance(value, str):
                order.extra_texts[name] = value
            elif value is not None:
                order.extra_numbers[name] = value
    return order


@cache
def names_of(enum: EnumDescriptor) -> Mapping[int, str | None]:
    """Return the short names by number; the unspecified value is null in REST."""
    return {0: None} | {number: name for name, number in short_names(enum).items()}


def to_rest(message: Message) -> dict[str, Any]:
    """Return a message as REST values: every field is present, absent ones are null, enums are short names."""
    return _writer(message.DESCRIPTOR)(message)


@cache
def _writer(descriptor: Descriptor) -> Callable[[Any], dict[str, Any]]:
    """Return `to_rest` for one type of message, compiled from its descriptor."""
    names: dict[str, Any] = {"to_text": Timestamp.ToJsonString, "extra_of": _extra}
    parts = [f"{field.name!r}: {_expression(field, names)}" for field in descriptor.fields if not is_extra(field)]
    if len(parts) < len(descriptor.fields):
        parts.append(f"{EXTRA!r}: extra_of(m)")
    function: Callable[[Any], dict[str, Any]] = eval(f"lambda m: {{{', '.join(parts)}}}", names)  # noqa: S307  built from descriptors only
    return function


def _extra(message: Any) -> dict[str, float | str]:
    return dict(sorted([*message.extra_texts.items(), *message.extra_numbers.items()], key=itemgetter(0)))


def _expression(field: FieldDescriptor, names: dict[str, Any]) -> str:
    """Return a Python expression for the REST value of a field of `m`."""
    value = f"m.{field.name}"
    if is_map(field):
        return f"{{key: values[key] for values in ({value},) for key in sorted(values)}}"
    if field.is_repeated:
        return f"[{_converted(field, 'item', names)} for item in {value}]"
    if field.has_presence:
        return f"{_converted(field, value, names)} if m.HasField({field.name!r}) else None"
    return _converted(field, value, names)


def _converted(field: FieldDescriptor, value: str, names: dict[str, Any]) -> str:
    """Return a Python expression for the REST value of one protobuf value."""
    if field.enum_type is not None:
        names[f"names_{field.name}"] = names_of(field.enum_type)
        return f"names_{field.name}[{value}]"
    if field.message_type is None:
        return value
    if field.message_type.full_name == _TIMESTAMP:
        return f"to_text({value})"
    names[f"write_{field.name}"] = _writer(field.message_type)
    return f"write_{field.name}({value})"


def is_extra(field: FieldDescriptor) -> bool:
    """Return whether REST shows a field within `extra`."""
    message = field.containing_type
    return field.name in EXTRAS and message is not None and message.full_name == Transaction.DESCRIPTOR.full_name


def is_map(field: FieldDescriptor) -> bool:
    """Return whether a field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry
