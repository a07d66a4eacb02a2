"""JSON schemas of requests, with the contract's rules, except those across fields, which a schema cannot express."""

import re
from collections.abc import Collection
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract.abuse_types import ABUSE_TYPES
from contract.fields import short_names
from http_bridge.json.descriptions import description
from http_bridge.json.times import SCHEMA as TIME
from runtime.validation.field_rules import FieldRules, rules_of

_BITS: Final = {FieldDescriptor.CPPTYPE_INT32: 31, FieldDescriptor.CPPTYPE_INT64: 63}
_NAMES: Final = {"abuse_type": [*ABUSE_TYPES, ""]}
"""String fields with a fixed set of values."""
_NUMBER: Final = {"gte": "minimum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def request_schema(descriptor: Descriptor | Any, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the schema of a message of scalars, times and enums; `without` names fields that are not in the body."""
    fields = [field for field in descriptor.fields if field.name not in without]
    return {
        "type": "object",
        "title": descriptor.name,
        "properties": {field.name: _property(field) for field in fields},
        "required": [field.name for field in fields if is_required(field)],
        "additionalProperties": False,
    }


def _property(field: FieldDescriptor) -> dict[str, Any]:
    schema, about = _single(field), {"description": description(field.full_name)}
    return schema | about if is_required(field) else {"anyOf": [schema, {"type": "null"}], **about}  # null means absent


def _single(field: FieldDescriptor) -> dict[str, Any]:
    rules = rules_of(field)
    if field.message_type is not None:
        return TIME
    if field.enum_type is not None:
        numbers = short_names(field.enum_type)
        return {"type": "string", "enum": [name for name, number in numbers.items() if _is_allowed(number, rules)]}
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"type": "boolean"}
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if field.name in _NAMES:
            return {"type": "string", "enum": _NAMES[field.name]}
        lengths = {"minLength": rules.min_len, "maxLength": rules.max_len}
        schema = {"type": "string"} | {name: length for name, length in lengths.items() if length is not None}
        return schema | ({"pattern": rules.patterns[0]} if rules.patterns else {})
    limit = 2 ** _BITS[field.cpp_type]
    bounds = {"minimum": -limit, "maximum": limit - 1}
    return {"type": "integer"} | bounds | {_NUMBER[name]: value for name, value in rules.bounds.items()}


def _is_allowed(number: int, rules: FieldRules) -> bool:
    return rules.numbers is None or number in rules.numbers


def is_required(field: FieldDescriptor) -> bool:
    """Return whether leaving the field out breaks a rule."""
    rules = rules_of(field)
    if field.has_presence:
        return rules.required
    if field.enum_type is not None:
        return not _is_allowed(0, rules)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return (rules.min_len or 0) > 0 or re.search(rules.pattern, "") is None
    return bool(rules.bounds.get("gte", 0) > 0 or rules.bounds.get("gt", -1) >= 0)
