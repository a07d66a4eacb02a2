"""OpenAPI descriptions of operations: schemas of requests and responses, derived from the contract, and errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from orjson import dumps

from contract.examples import DOCUMENTED_ORDER
from http_bridge.health_state import DEGRADED, HEALTHY, STARTING, UNHEALTHY
from http_bridge.json.descriptions import description
from http_bridge.json.mapping import EXTRA, EXTRA_DESCRIPTION, is_extra, is_map, names_of
from http_bridge.json.transaction import TransactionBody
from http_bridge.openapi.components import SCHEMAS, add_tags, with_components
from http_bridge.openapi.error_schemas import ERROR, error_responses, hoist_error_responses, local_error_responses
from http_bridge.openapi.examples import EVENT, REQUESTS, add_response_examples
from http_bridge.openapi.request_schemas import request_schema
from http_bridge.request_body import NDJSON

_SCALARS = {
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
}


def schema_of(descriptor: Descriptor) -> dict[str, Any]:
    """Return the JSON schema of a message in responses."""
    properties = {field.name: _property(field) for field in descriptor.fields if not is_extra(field)}
    if len(properties) < len(descriptor.fields):
        properties[EXTRA] = {
            "type": "object",
            "additionalProperties": {"type": ["number", "string"]},
            "description": EXTRA_DESCRIPTION,
        }
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


def describe_responses(
    descriptor: Descriptor | Any, *, reads_body: bool = False, finds: bool = False, conflicts: bool = False
) -> dict[int | str, Any]:
    """Return the `responses` of an operation that returns a message.

    `reads_body` adds the errors of request bodies, `finds` adds 404, and `conflicts` adds 409.
    """
    content = {"application/json": {"schema": schema_of(descriptor)}}
    return {
        200: {"description": description(descriptor.full_name), "content": content},
        **error_responses(reads_body=reads_body, finds=finds, conflicts=conflicts),
    }


def health_responses(properties: Mapping[str, Any], *statuses: int) -> dict[int | str, Any]:
    """Return the `responses` of a health endpoint with these fields and statuses."""
    schema = {
        "type": "object",
        "title": "Health",
        "description": "Whether the service works, and which part does not.",
        "properties": {
            "status": {"type": "string", "enum": [HEALTHY, STARTING, DEGRADED, UNHEALTHY]},
            **properties,
            "failing_jobs": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["status", *properties, "failing_jobs"],
    }
    described = {"description": "The health of the service.", "content": {"application/json": {"schema": schema}}}
    return local_error_responses() | dict.fromkeys(statuses, described)


def batch_responses(descriptor: Descriptor | Any) -> dict[int | str, Any]:
    """Return the `responses` of a batch operation; `descriptor` is that of one result."""
    result = {
        "type": "object",
        "title": f"{descriptor.name.removesuffix('Response')}BatchResult",
        "properties": {
            "index": {"type": "integer", "description": "Index of the order, from 0."},
            "status": {"type": "integer", "description": "HTTP status of a single request."},
            "result": schema_of(descriptor),
            "detail": ERROR["properties"]["detail"],
            "reason": {"type": "string", "description": "As in the error of a single request."},
        },
        "required": ["index", "status"],
    }
    listed = {
        "type": "object",
        "title": f"{descriptor.name.removesuffix('Response')}BatchResponse",
        "properties": {"results": {"type": "array", "items": result}},
        "required": ["results"],
    }
    content = {"application/json": {"schema": listed}, NDJSON: _sequence(result)}
    return describe_responses(descriptor, reads_body=True) | {
        200: {"description": "One result per order.", "content": content}
    }


def batch_request_body() -> dict[str, Any]:
    """Return the request body of a batch operation."""
    order = TransactionBody.model_json_schema()
    listed = {
        "type": "object",
        "title": "TransactionBatch",
        # An item may be anything: an invalid one gets an error as its result.
        "properties": {"transactions": {"type": "array", "items": {"anyOf": [order, {}]}, "maxItems": 1000}},
        "required": ["transactions"],
        "additionalProperties": False,
    }
    example = {"transactions": [DOCUMENTED_ORDER]}
    line = dumps(DOCUMENTED_ORDER).decode()
    content = {"application/json": {"schema": listed, "example": example}, NDJSON: _sequence(order, f"{line}\n")}
    return {"requestBody": {"required": True, "content": content}}


def _sequence(item: dict[str, Any], example: str | None = None) -> dict[str, Any]:
    """Return the media type of a text that is a sequence of items: lines, or events.

    OpenAPI 3.1 can only say that it is a text. The schema of an item stands under the name that OpenAPI's registry has for
    the `itemSchema` of 3.2, which generators do not read yet.
    """
    shown = {} if example is None else {"example": example}
    return {"schema": {"type": "string"}, "x-oai-itemSchema": item, **shown}


def complete_document(app: FastAPI) -> None:
    """Give the app's OpenAPI document components, tags, and the two ways to send an API key. Keys are optional."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = with_components(original())
        hoist_error_responses(document, f"{SCHEMAS}{ERROR['title']}")
        add_tags(document)
        add_response_examples(document, SCHEMAS)
        document["servers"] = [{"url": "/"}]
        document.setdefault("components", {})["securitySchemes"] = {
            "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document["security"] = [{}, {"x-api-key": []}, {"bearer": []}]
        app.openapi_schema = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def transaction_request_body() -> dict[str, Any]:
    """Return the request body of an operation that takes a transaction."""
    schema = TransactionBody.model_json_schema()
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": DOCUMENTED_ORDER}},
        }
    }


def message_request_body(descriptor: Descriptor | Any, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return the request body of an operation that takes a message; `without` names the fields in its path."""
    schema = request_schema(descriptor, without)
    # A body is required even if it is empty: a web page cannot send JSON to another origin without a preflight request.
    content = {"schema": schema, "example": REQUESTS[descriptor.name]}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def event_stream_responses(descriptor: Descriptor | Any) -> dict[int | str, Any]:
    """Return the `responses` of an operation that streams events whose data is a message as JSON."""
    event = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The cursor of the event."},
            "event": {"type": "string", "description": "The kind of the event."},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema_of(descriptor)},
        },
        "required": ["id"],
    }
    return describe_responses(descriptor) | {
        200: {"description": "Server-sent events.", "content": {"text/event-stream": _sequence(event, EVENT)}}
    }
