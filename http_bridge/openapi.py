"""JSON schemas of answers, derived from the contract, for /docs."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from http_bridge.bodies import TransactionBody
from http_bridge.descriptions import description
from http_bridge.dialect import is_map, names_of

_SCALARS = {
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
}
EXAMPLE = {
    "transaction_id": "test-001",
    "timestamp": "2025-02-11T10:00:00",
    "user_id": "user-123",
    "account_age_days": 5,
    "email_domain": "tempmail.net",
    "phone_verified": False,
    "order_amount": 299.99,
    "new_device": True,
}


def schema_of(descriptor: Descriptor) -> dict[str, Any]:
    """The schema of a message as REST shows it."""
    properties = {field.name: _property(field) for field in descriptor.fields}
    return {
        "type": "object",
        "title": descriptor.name,
        "description": description(descriptor.full_name),
        "properties": properties,
        "required": list(properties),
    }


def _property(field: FieldDescriptor) -> dict[str, Any]:
    about = {"description": description(field.full_name)}
    if is_map(field):
        entry: Any = field.message_type
        value = _single(entry.fields_by_name["value"])
        return {"type": "object", "additionalProperties": value, **about}
    if field.is_repeated:
        return {"type": "array", "items": _single(field), **about}
    if field.has_presence:
        return {"anyOf": [_single(field), {"type": "null"}], **about}
    return {**_single(field), **about}


def _single(field: FieldDescriptor) -> dict[str, Any]:
    if field.enum_type is not None:
        return {"type": ["string", "null"], "enum": [*filter(None, names_of(field.enum_type).values()), None]}
    if field.message_type is None:
        return _SCALARS[field.cpp_type]
    if field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
        return {"type": "string", "format": "date-time"}
    return schema_of(field.message_type)


def answer(descriptor: Descriptor | Any) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that answers with this message."""
    content = {"application/json": {"schema": schema_of(descriptor)}}
    return {
        200: {"description": description(descriptor.full_name), "content": content},
        422: {"description": "The request breaks a rule; each entry of `detail` names the field."},
        503: {"description": "A service behind is away: try again."},
        504: {"description": "The deadline passed."},
    }


def body() -> dict[str, Any]:
    """The request body of an operation that takes a transaction."""
    schema = TransactionBody.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": EXAMPLE}}}}
