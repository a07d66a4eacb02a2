"""JSON schemas of what is asked, with the contract's rules but for those that no schema can say: which fields go together."""

import re
from collections.abc import Collection
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from contract.abuse_types import ABUSE_TYPES
from contract.fields import short_names
from http_bridge.json.descriptions import description
from http_bridge.json.times import SCHEMA as TIME
from runtime.validation.contract_predicates import patterns_of, rules_of

_BITS: Final = {FieldDescriptor.CPPTYPE_INT32: 31, FieldDescriptor.CPPTYPE_INT64: 63}
_TEXT: Final = {"min_len": "minLength", "max_len": "maxLength"}
_NAMES: Final = {"abuse_type": [*ABUSE_TYPES, ""]}
"""Texts that are names of something."""
_NUMBER: Final = {"gte": "minimum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def asked_schema(descriptor: Descriptor | Any, without: Collection[str] = ()) -> dict[str, Any]:
    """The schema of a message of scalars, times and enums, but for fields that stand elsewhere in a request."""
    fields = [field for field in descriptor.fields if field.name not in without]
    return {
        "type": "object",
        "title": descriptor.name,
        "properties": {field.name: _property(field) for field in fields},
        "required": [field.name for field in fields if _needed(field)],
        "additionalProperties": False,
    }


def _property(field: FieldDescriptor) -> dict[str, Any]:
    schema, about = _single(field), {"description": description(field.full_name)}
    return schema | about if _needed(field) else {"anyOf": [schema, {"type": "null"}], **about}  # null: left out


def _single(field: FieldDescriptor) -> dict[str, Any]:
    ruled = _ruled(field)
    if field.message_type is not None:
        return TIME
    if field.enum_type is not None:
        numbers = short_names(field.enum_type)
        chosen = [name for name, number in numbers.items() if _allowed(number, ruled)]
        return {"type": "string", "enum": chosen}
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"type": "boolean"}
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if field.name in _NAMES:
            return {"type": "string", "enum": _NAMES[field.name]}
        lengths = {_TEXT[name]: value for name, value in ruled.items() if name in _TEXT}
        return {"type": "string"} | lengths | ({"pattern": patterns[0]} if (patterns := patterns_of(field)) else {})
    most = 2 ** _BITS[field.cpp_type]
    bounds = {"minimum": -most, "maximum": most - 1}
    return {"type": "integer"} | bounds | {_NUMBER[name]: value for name, value in ruled.items() if name in _NUMBER}


def _ruled(field: FieldDescriptor) -> dict[str, Any]:
    """The rules of a field's type, by name."""
    rules = rules_of(field)
    kind = rules.WhichOneof("type")
    return {rule.name: value for rule, value in getattr(rules, kind).ListFields()} if kind else {}


def _allowed(number: int, ruled: dict[str, Any]) -> bool:
    return number in ruled.get("in", (number,)) and number not in ruled.get("not_in", ())


def _needed(field: FieldDescriptor) -> bool:
    """Whether what stands for a field that is left out breaks a rule."""
    ruled = _ruled(field)
    if field.has_presence:
        return bool(rules_of(field).required)
    if field.enum_type is not None:
        return not _allowed(0, ruled)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return ruled.get("min_len", 0) > 0 or re.search(ruled.get("pattern", ""), "") is None
    return bool(ruled.get("gte", 0) > 0 or ruled.get("gt", -1) >= 0)
