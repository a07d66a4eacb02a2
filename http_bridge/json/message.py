"""Small bodies that are no orders: any message of the contract, from JSON with REST's spelling.

Only scalars, times, and enums by their short names: what is nested has a reader of its own.
"""

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from contract.fields import short_names
from http_bridge.json.times import to_timestamp
from http_bridge.json.transaction import number_written, refuse_many_keys, refuse_repeated

_PYTHON = {
    FieldDescriptor.CPPTYPE_STRING: (str, "a text"),
    FieldDescriptor.CPPTYPE_INT32: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_INT64: (int, "a whole number"),
    FieldDescriptor.CPPTYPE_BOOL: (bool, "true or false"),
}
_BITS = {FieldDescriptor.CPPTYPE_INT32: 31, FieldDescriptor.CPPTYPE_INT64: 63}


def read_into(message: Message, body: bytes, without: Sequence[str] = ()) -> Message:
    """Set what a JSON object holds, but for fields that stand elsewhere in the request; an empty body is an empty object.

    Raises ValidationError naming each field that is wrong.
    """
    refuse_many_keys(body)
    try:
        values = from_json(body) if body else {}
    except ValueError as error:
        raise _wrong(message, [("", f"no JSON: {error}")]) from error
    if not isinstance(values, dict):
        raise _wrong(message, [("", "must be an object")])
    if values:
        refuse_repeated(body)
    fields = {field.name: field for field in message.DESCRIPTOR.fields if field.name not in without}
    problems = []
    for name, value in values.items():
        field = fields.get(name)
        if field is None:
            problems.append((name, f"there is no such field; there are {', '.join(fields) or 'none'}"))
        elif value is not None and (told := _set(message, field, value)):
            problems.append((name, told))
    if problems:
        raise _wrong(message, problems)
    return message


def _set(message: Message, field: Any, value: Any) -> str:
    """Set one field; say what is wrong with the value, or nothing."""
    if field.message_type is not None:  # a time: nothing else stands in such bodies
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
        python, told = _PYTHON[field.cpp_type]
        bits = _BITS.get(field.cpp_type, 0)
        if bits:
            value = number_written("int_type", value, (-(2**bits), 2**bits - 1))
        if type(value) is not python or (bits and not -(2**bits) <= value < 2**bits):
            return f"must be {told}"
    try:
        setattr(message, field.name, value)
    except ValueError:  # half of a surrogate pair
        return "must be Unicode text"
    return ""


def _wrong(message: Message, problems: list[tuple[str, str]]) -> ValidationError:
    details = [
        InitErrorDetails(
            type=PydanticCustomError("body", "{text}", {"text": text}), loc=(name,) if name else (), input=None
        )
        for name, text in problems
    ]
    return ValidationError.from_exception_data(message.DESCRIPTOR.name, details)
