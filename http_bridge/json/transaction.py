"""The body of a request: read, checked by the contract's own rules, and turned into a Transaction.

Where protobuf's canonical JSON, which Envoy reads, leaves a choice, the bridge chooses alike: a number may stand in a string, a
count may be written 5.0, a key that stands there twice is an error, a leap second is the second after it.
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

from contract.extras import LONGEST, MOST, NAME
from contract.fields import FIELDS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.json.descriptions import description
from http_bridge.json.mapping import EXTRA, EXTRA_DESCRIPTION
from http_bridge.json.times import SCHEMA, to_timestamp
from runtime.validation.field_rules import rules_of

REPEATED: Final = "repeated_key"
"""The type of the error where a key stands twice."""
INT32: Final = (-(2**31), 2**31 - 1)
_time = Annotated[
    Any,
    BeforeValidator(to_timestamp),
    PlainSerializer(Timestamp.ToJsonString, str),
    WithJsonSchema(dict(SCHEMA)),
]
_PYTHON: dict[str, Any] = {"text": str, "number": float, "count": int, "flag": bool, "time": _time}
# The rules of the contract that pydantic knows under another name. What it does not know the services check.
_RULES = {"gt": "gt", "gte": "ge", "lt": "lt", "lte": "le", "min_len": "min_length", "max_len": "max_length"}
_LONGEST_ORDER, MOST_KEYS = 1 << 12, 1000
_KEY = re.compile(rb'"\s*:')
_LONGEST_NUMBER: Final = 512
_WRITTEN = {
    "int_type": re.compile(r"[+-]?\d{1,19}", re.ASCII),
    # Without alternatives for the same text: with `\d+\.?\d*` a megabyte of digits would be matched in hours.
    "float_type": re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII),
}


def _rules(field: FieldDescriptor) -> dict[str, Any]:
    """Return a field's rules as arguments of pydantic's Field."""
    rules = rules_of(field)
    ruled: dict[str, Any] = {}
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT32:
        ruled["ge"], ruled["le"] = INT32
    if field.message_type is not None or field.enum_type is not None:
        return ruled
    declared = {**rules.bounds, "min_len": rules.min_len, "max_len": rules.max_len}
    ruled |= {_RULES[name]: value for name, value in declared.items() if value is not None}
    if rules.pattern:
        ruled["pattern"] = rules.pattern
    elif rules.cel_patterns:  # shown in the schema; the service checks it, with a message of its own
        ruled["json_schema_extra"] = {"pattern": rules.cel_patterns[0]}
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        ruled["allow_inf_nan"] = False
    return ruled


def _field(descriptor: Any) -> tuple[Any, Any]:
    field = FIELDS[descriptor.name]
    python = Literal[tuple(field.numbers)] if field.kind == "enum" else _PYTHON[field.kind]
    ruled, about = Annotated[python, Field(**_rules(descriptor))], description(descriptor.full_name)
    if field.name in REQUIRED:
        return ruled, Field(description=about)
    # JSON null is REST's way to say unknown, like leaving the field out.
    return ruled | None, Field(None, description=about)


def _extra(value: Any) -> float | str | None:
    if isinstance(value, str):
        if len(value) <= LONGEST:
            return value
        raise ValueError(f"a text has at most {LONGEST} characters")
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            if math.isfinite(value):
                return float(value)
        raise ValueError("the number is not finite")
    if value is None:
        return None
    raise ValueError("an extra is a number or a text")


_extra_value = Annotated[
    Any, PlainValidator(_extra, json_schema_input_type=float | Annotated[str, Field(max_length=LONGEST)] | None)
]
_extras = Annotated[
    dict[Annotated[str, Field(pattern=NAME)], _extra_value],
    Field(max_length=MOST, json_schema_extra={"additionalProperties": False}),  # as all names must be by the pattern
]
_definitions: Any = {
    descriptor.name: _field(descriptor) for descriptor in Transaction.DESCRIPTOR.fields if descriptor.name in FIELDS
} | {EXTRA: (_extras | None, Field(None, description=EXTRA_DESCRIPTION))}
TransactionBody: type[BaseModel] = create_model(
    "Transaction", __config__=ConfigDict(extra="forbid", strict=True), **_definitions
)
_adapter = TypeAdapter(TransactionBody)


def parse(body: bytes) -> dict[str, Any]:
    """The fields that a body holds, by name. Raises pydantic.ValidationError naming each field that is wrong."""
    refuse_many_keys(body)
    try:
        order = _adapter.validate_json(body)
    except ValidationError as error:
        order = _adapter.validate_python(_numbers_read(body, error))
    refuse_more_keys(body, len(order.model_fields_set) + len(getattr(order, EXTRA) or ()))
    return {name: value for name, value in order.__dict__.items() if value is not None}


def refuse_many_keys(body: bytes) -> None:
    """Raise ValidationError where a body has more than MOST_KEYS fields: each would be an error of its own."""
    if len(body) > _LONGEST_ORDER and next(islice(_KEY.finditer(body), MOST_KEYS, None), None):
        _refuse("too_many_fields", f"the body has more than {MOST_KEYS} fields")


def refuse_more_keys(body: bytes, fields: int) -> None:
    """Raise ValidationError where a key stands twice in an object of `body`, of which so many fields were read."""
    if len(_KEY.findall(body)) != fields:  # more keys than fields, or a text that looks like one
        refuse_repeated(body)


def _numbers_read(body: bytes, error: ValidationError) -> dict[str, Any]:
    """The body with numbers for fields in which they were written otherwise; raises `error` where that mends nothing."""
    wrong = [
        (problem["type"], problem["loc"][0])
        for problem in error.errors(include_url=False)
        if problem["type"] in _WRITTEN
    ]
    if not wrong:
        raise error
    values: dict[str, Any] = from_json(body)
    for kind, name in wrong:
        values[str(name)] = number_written(kind, values[str(name)])
    return values


def number_written(kind: str, value: Any, bounds: tuple[int, int] = INT32) -> Any:
    """A number that was written as text, or a count written 5.0; anything else as it is.

    `kind` is pydantic's name of what was wrong: `int_type` or `float_type`.
    """
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and _WRITTEN[kind].fullmatch(value):
        return int(value) if kind == "int_type" else float(value)
    if isinstance(value, float) and value.is_integer() and bounds[0] <= value <= bounds[1]:
        return int(value)
    return value


def refuse_repeated(body: bytes) -> None:
    """Raise ValidationError naming a key that stands twice in one object; `body` is JSON. Takes linear time."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        names = set[str]()
        for name, _ in pairs:
            if name in names:
                _refuse(REPEATED, "the field stands there twice", name)
            names.add(name)

    try:
        # Numbers stay text: to read a long one takes quadratic time, and Python refuses the longest.
        json.loads(body, object_pairs_hook=check, parse_int=str, parse_float=str)
    except (RecursionError, ValueError) as error:
        if isinstance(error, ValidationError):  # a ValueError, too
            raise
        _refuse("json_invalid", "the body cannot be read: it is nested too deeply")


def _refuse(kind: LiteralString, text: str, *loc: str) -> None:
    wrong = PydanticCustomError(kind, "{text}", {"text": text})
    raise ValidationError.from_exception_data("Transaction", [InitErrorDetails(type=wrong, loc=loc, input=None)])
