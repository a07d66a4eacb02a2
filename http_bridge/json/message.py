"""Parsing of small request bodies other than orders, into any message of the contract.

Supports scalars, times, and enums by their short names. Nested messages are not supported.
"""

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from contract.fields import short_names
from http_bridge.json.times import to_timestamp
from http_bridge.json.transaction import parse_number, refuse_duplicate_keys, refuse_many_keys

_PYTHON = {
    FieldDescriptor.CPPTYPE_STRING: (str, "a string"),
    FieldDescriptor.CPPTYPE_INT32: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_INT64: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_BOOL: (bool, "true or false"),
}
_BITS = {FieldDescriptor.CPPTYPE_INT32: 31, FieldDescriptor.CPPTYPE_INT64: 63}


def read_into(message: Message, body: bytes, without: Sequence[str] = ()) -> Message:
    """Set the fields of a message from a JSON object; an empty body is an empty object.

    `without` names fields that are not in the body, but in the path. Raises ValidationError that names each invalid
    field.
    """
    refuse_many_keys(body)
    try:
        values = from_json(body) if body else {}
    except ValueError as error:
        raise _error(message, [("", f"invalid JSON: {error}")]) from error
    if not isinstance(values, dict):
        raise _error(message, [("", "must be an object")])
    if values:
        refuse_duplicate_keys(body)
    fields = {field.name: field for field in message.DESCRIPTOR.fields if field.name not in without}
    problems = []
    for name, value in values.items():
        field = fields.get(name)
        if field is None:
            problems.append((name, f"unknown field; known fields: {', '.join(fields) or 'none'}"))
        elif value is not None and (problem := _set_field(message, field, value)):
            problems.append((name, problem))
    if problems:
        raise _error(message, problems)
    return message


def _set_field(message: Message, field: Any, value: Any) -> str:
    """Set one field. Return what is wrong with the value; empty if nothing is."""
    if field.message_type is not None:  # a time: such bodies contain no other message
        try:
            getattr(message, field.name).CopyFrom(to_timestamp(value))
        except (ValueError, TypeError) as error:
            return str(error)
        return ""
    if field.enum_type is not None:
        numbers = short_names(field.enum_type)
        if not isinstance(value, str) or value not in numbers:
            return f"must be one of {', '.join(numbers)}"
        value = numbers[value]
    else:
        python, expected = _PYTHON[field.cpp_type]
        bits = _BITS.get(field.cpp_type, 0)
        if bits:
            value = parse_number("int_type", value, (-(2**bits), 2**bits - 1))
        if type(value) is not python or (bits and not -(2**bits) <= value < 2**bits):
            return f"must be {expected}"
    try:
        setattr(message, field.name, value)
    except ValueError:  # half of a surrogate pair
        return "must be Unicode text"
    return ""


def _error(message: Message, problems: list[tuple[str, str]]) -> ValidationError:
    details = [
        InitErrorDetails(
            type=PydanticCustomError("body", "{text}", {"text": text}), loc=(name,) if name else (), input=None
        )
        for name, text in problems
    ]
    return ValidationError.from_exception_data(message.DESCRIPTOR.name, details)
