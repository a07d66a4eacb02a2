"""Parsing of an order's JSON body, with validation by the contract's rules.

Where protobuf's canonical JSON leaves a choice, the bridge behaves like Envoy: a number may be a string, an integer may
be written 5.0, a duplicate key is an error, and a leap second is the second after it.
"""

import contextlib
import json
import math
import re
from itertools import islice
from typing import Annotated, Any, Final, Literal, LiteralString

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from contract.extras import MAX_PAIRS, MAX_TEXT_LENGTH, NAME_PATTERN
from contract.fields import FIELDS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.json.descriptions import description
from http_bridge.json.mapping import EXTRA, EXTRA_DESCRIPTION
from http_bridge.json.times import SCHEMA, to_timestamp
from runtime.validation.field_rules import rules_of

REPEATED: Final = "repeated_key"
"""The error type for a duplicate key."""
INT32: Final = (-(2**31), 2**31 - 1)
_time = Annotated[
    Any, BeforeValidator(to_timestamp), PlainSerializer(Timestamp.ToJsonString, str), WithJsonSchema(dict(SCHEMA))
]
_PYTHON: dict[str, Any] = {"text": str, "number": float, "count": int, "flag": bool, "time": _time}
# Pydantic's names of the contract's rules. The services check the rules that pydantic does not have.
_RULES = {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le", "min_len": "min_length", "max_len": "max_length"}
_MIN_CHECKED_BYTES, MAX_KEYS = 1 << 12, 1000
_KEY = re.compile(rb'"\s*:')
_MAX_NUMBER_LENGTH: Final = 512
_NUMBER_FORMATS = {
    "int_type": re.compile(r"[+-]?\d{1,19}", re.ASCII),
    # No ambiguous alternatives: `\d+\.?\d*` would take hours to match a megabyte of digits.
    "float_type": re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII),
}


def _rules(field: FieldDescriptor) -> dict[str, Any]:
    """Return a field's rules as arguments of pydantic's Field."""
    rules = rules_of(field)
    arguments: dict[str, Any] = {}
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT32:
        arguments["ge"], arguments["le"] = INT32
    if field.message_type is not None or field.enum_type is not None:
        return arguments
    declared = {**rules.bounds, "min_len": rules.min_len, "max_len": rules.max_len}
    arguments |= {_RULES[name]: value for name, value in declared.items() if value is not None}
    if rules.pattern:
        arguments["pattern"] = rules.pattern
    elif rules.cel_patterns:  # only documented here; the service checks it, and has a better error message
        arguments["json_schema_extra"] = {"pattern": rules.cel_patterns[0]}
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        arguments["allow_inf_nan"] = False
    return arguments


def _field(descriptor: Any) -> tuple[Any, Any]:
    field = FIELDS[descriptor.name]
    python = Literal[tuple(field.numbers)] if field.kind == "enum" else _PYTHON[field.kind]
    annotated, about = Annotated[python, Field(**_rules(descriptor))], description(descriptor.full_name)
    if field.name in REQUIRED:
        return annotated, Field(description=about)
    # In REST, null means unknown, like an absent field.
    return annotated | None, Field(None, description=about)


def _validate_extra(value: Any) -> float | str | None:
    if isinstance(value, str):
        if len(value) <= MAX_TEXT_LENGTH:
            return value
        raise ValueError(f"a string must have at most {MAX_TEXT_LENGTH} characters")
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            if math.isfinite(value):
                return float(value)
        raise ValueError("the number must be finite")
    if value is None:
        return None
    raise ValueError("must be a number or a string")


_extra_value = Annotated[
    Any,
    PlainValidator(
        _validate_extra, json_schema_input_type=float | Annotated[str, Field(max_length=MAX_TEXT_LENGTH)] | None
    ),
]
_extras = Annotated[
    dict[Annotated[str, Field(pattern=NAME_PATTERN)], _extra_value],
    Field(max_length=MAX_PAIRS, json_schema_extra={"additionalProperties": False}),  # all names must match the pattern
]
_definitions: Any = {
    descriptor.name: _field(descriptor) for descriptor in Transaction.DESCRIPTOR.fields if descriptor.name in FIELDS
} | {EXTRA: (_extras | None, Field(None, description=EXTRA_DESCRIPTION))}
TransactionBody: type[BaseModel] = create_model(
    "Transaction", __config__=ConfigDict(extra="forbid", strict=True), **_definitions
)
_adapter = TypeAdapter(TransactionBody)


def parse(body: bytes) -> dict[str, Any]:
    """Return the fields of a body, by name. Raises pydantic.ValidationError that names each invalid field."""
    refuse_many_keys(body)
    try:
        order = _adapter.validate_json(body)
    except ValidationError as error:
        order = _adapter.validate_python(_with_numbers_parsed(body, error))
    check_duplicate_keys(body, len(order.model_fields_set) + len(getattr(order, EXTRA) or ()))
    return {name: value for name, value in order.__dict__.items() if value is not None}


def refuse_many_keys(body: bytes) -> None:
    """Raise ValidationError if a body has more than MAX_KEYS fields: each unknown one would be a separate error."""
    if len(body) > _MIN_CHECKED_BYTES and next(islice(_KEY.finditer(body), MAX_KEYS, None), None):
        _refuse("too_many_fields", f"the body has more than {MAX_KEYS} fields")


def check_duplicate_keys(body: bytes, fields: int) -> None:
    """Raise ValidationError if `body` has a duplicate key; `fields` is the number of parsed fields."""
    if len(_KEY.findall(body)) != fields:  # more keys than fields, or a string that looks like a key
        refuse_duplicate_keys(body)


def _with_numbers_parsed(body: bytes, error: ValidationError) -> dict[str, Any]:
    """Return the body's values with numbers parsed that are written as strings. Raises `error` if there are none."""
    written = [
        (problem["type"], problem["loc"][0])
        for problem in error.errors(include_url=False)
        if problem["type"] in _NUMBER_FORMATS
    ]
    if not written:
        raise error
    values: dict[str, Any] = from_json(body)
    for kind, name in written:
        values[str(name)] = parse_number(kind, values[str(name)])
    return values


def parse_number(kind: str, value: Any, bounds: tuple[int, int] = INT32) -> Any:
    """Parse a number written as a string, or an integer written 5.0. Return any other value unchanged.

    `kind` is pydantic's error type: `int_type` or `float_type`.
    """
    if isinstance(value, str) and len(value) <= _MAX_NUMBER_LENGTH and _NUMBER_FORMATS[kind].fullmatch(value):
        return int(value) if kind == "int_type" else float(value)
    if isinstance(value, float) and value.is_integer() and bounds[0] <= value <= bounds[1]:
        return int(value)
    return value


def refuse_duplicate_keys(body: bytes) -> None:
    """Raise ValidationError that names a duplicate key of one object; `body` is JSON. Takes linear time."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        names = set[str]()
        for name, _ in pairs:
            if name in names:
                _refuse(REPEATED, "the field is repeated", name)
            names.add(name)

    try:
        # Numbers stay strings: parsing a long one takes quadratic time, and Python rejects the longest.
        json.loads(body, object_pairs_hook=check, parse_int=str, parse_float=str)
    except (RecursionError, ValueError) as error:
        if isinstance(error, ValidationError):  # it is a ValueError too
            raise
        _refuse("json_invalid", "the body is nested too deeply")


def _refuse(kind: LiteralString, text: str, *loc: str) -> None:
    wrong = PydanticCustomError(kind, "{text}", {"text": text})
    raise ValidationError.from_exception_data("Transaction", [InitErrorDetails(type=wrong, loc=loc, input=None)])
