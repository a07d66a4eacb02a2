"""OpenAPI descriptions of operations: schemas of requests and responses, derived from the contract, and errors."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from contract.examples import DOCUMENTED_ORDER
from http_bridge.json.components import add_tags, with_components
from http_bridge.json.descriptions import description
from http_bridge.json.mapping import EXTRA, EXTRA_DESCRIPTION, is_extra, is_map, names_of
from http_bridge.json.request_schemas import request_schema
from http_bridge.json.transaction import TransactionBody
from runtime.error_statuses import STATUSES, reason_name

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


_DETAIL: dict[str, Any] = {
    "type": "object",
    "title": "Error",
    "properties": {
        "detail": {"description": "A sentence, or for invalid input a list of loc, msg and type."},
        "reason": {
            "type": "string",
            "enum": [reason_name(reason) for reason in STATUSES],
            "description": "The reason code of the contract, for programs.",
        },
        "request_id": {"type": "string", "description": "The id of the request in the log."},
    },
    "required": ["detail", "reason", "request_id"],
}
_PROBLEMS = {
    401: "The API key is missing or unknown.",
    403: "A cross-origin request without an API key, or the bridge is reachable from other machines without API keys.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    414: "The query is too long.",
    415: "The content type is not application/json.",
    422: "The request is invalid; each entry of `detail` names a field.",
    429: "The service is overloaded; retry after Retry-After seconds.",
    500: "Internal error; the log contains it with the request id.",
    503: "An upstream service is unavailable; retry.",
    504: "The request timed out.",
}
_WITH_BODY = (408, 413, 415)
NOT_FOUND = "Not found."
CONFLICT = "The case is claimed by another reviewer or resolved."


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _DETAIL}}}


def describe_responses(
    descriptor: Descriptor | Any, *, reads_body: bool = False, finds: bool = False, conflicts: bool = False
) -> dict[int | str, Any]:
    """Return the `responses` of an operation that returns a message.

    `reads_body` adds the errors of request bodies, `finds` adds 404, and `conflicts` adds 409.
    """
    content = {"application/json": {"schema": schema_of(descriptor)}}
    problems = {code: text for code, text in _PROBLEMS.items() if reads_body or code not in _WITH_BODY}
    if finds:
        problems[404] = NOT_FOUND
    if conflicts:
        problems[409] = CONFLICT
    return {
        200: {"description": description(descriptor.full_name), "content": content},
        **{code: _problem(text) for code, text in sorted(problems.items())},
    }


def batch_responses(descriptor: Descriptor | Any) -> dict[int | str, Any]:
    """Return the `responses` of a batch operation; `descriptor` is that of one result."""
    result = {
        "type": "object",
        "title": f"{descriptor.name.removesuffix('Response')}BatchResult",
        "properties": {
            "index": {"type": "integer", "description": "Index of the order, from 0."},
            "status": {"type": "integer", "description": "HTTP status of a single request."},
            "result": schema_of(descriptor),
            "detail": {"description": "As in the error of a single request."},
            "reason": {"type": "string", "description": "As in the error of a single request."},
        },
        "required": ["index", "status"],
    }
    listed = {"type": "object", "properties": {"results": {"type": "array", "items": result}}, "required": ["results"]}
    content = {"application/json": {"schema": listed}, "application/x-ndjson": {"schema": result}}
    return describe_responses(descriptor, reads_body=True) | {
        200: {"description": "One result per order.", "content": content}
    }


def batch_request_body() -> dict[str, Any]:
    """Return the request body of a batch operation."""
    order = TransactionBody.model_json_schema()
    listed = {
        "type": "object",
        # An item may be anything: an invalid one gets an error as its result.
        "properties": {"transactions": {"type": "array", "items": {"anyOf": [order, {}]}, "maxItems": 1000}},
        "required": ["transactions"],
        "additionalProperties": False,
    }
    example = {"transactions": [DOCUMENTED_ORDER]}
    content = {"application/json": {"schema": listed, "example": example}, "application/x-ndjson": {"schema": order}}
    return {"requestBody": {"required": True, "content": content}}


def complete_document(app: FastAPI) -> None:
    """Give the app's OpenAPI document components, tags, and the two ways to send an API key. Keys are optional."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = with_components(original())
        add_tags(document)
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
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def event_stream_responses(descriptor: Descriptor | Any) -> dict[int | str, Any]:
    """Return the `responses` of an operation that streams events whose data is a message as JSON."""
    event = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The cursor of the event."},
            "event": {"type": "string", "description": "The kind of the event."},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema_of(descriptor)},
        },
    }
    return describe_responses(descriptor) | {
        200: {
            "description": "Server-sent events. `x-event` describes one of them.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "x-event": event}},
        }
    }
