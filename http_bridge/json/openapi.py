"""What /docs tells of operations: schemas of answers and bodies, derived from the contract, and what can go wrong."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from contract.examples import DOCUMENTED_ORDER
from http_bridge.json.descriptions import description
from http_bridge.json.mapping import EXTRA, EXTRA_DESCRIPTION, is_extra, is_map, names_of
from http_bridge.json.request_schemas import asked_schema
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
    """The schema of a message as REST shows it."""
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
    "properties": {
        "detail": {"description": "A sentence, or for bad input a list of loc, msg and type."},
        "reason": {
            "type": "string",
            "enum": [reason_name(reason) for reason in STATUSES],
            "description": "The contract's reason, by which programs tell errors apart.",
        },
        "request_id": {"type": "string", "description": "The id of the request, under which the log has it."},
    },
    "required": ["detail", "reason", "request_id"],
}
_PROBLEMS = {
    401: "An API key is needed, or it is not known.",
    403: "A web page of another origin asked without a key, or the bridge is open to other machines without keys.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    414: "The query is too long.",
    415: "The content type is not application/json.",
    422: "The request breaks a rule; each entry of `detail` names the field.",
    429: "Too much is in flight: try again after Retry-After seconds.",
    500: "A fault of ours; the log has it under the request id.",
    503: "A service behind is away: try again.",
    504: "The deadline passed.",
}
_WITH_BODY = (408, 413, 415)
NOT_FOUND = "There is no such thing."
CONFLICT = "It is not in the state that this needs: somebody else has it, say, or it is resolved."


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _DETAIL}}}


def answer(
    descriptor: Descriptor | Any, *, reads_body: bool = False, finds: bool = False, conflicts: bool = False
) -> dict[int | str, Any]:
    """The `responses` of an operation that answers with this message, may read a body, find nothing, or come too late."""
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


def batch_answer(descriptor: Descriptor | Any) -> dict[int | str, Any]:
    """The `responses` of an operation that answers many orders with this message each."""
    result = {
        "type": "object",
        "properties": {
            "index": {"type": "integer", "description": "Place of the order, from 0."},
            "status": {"type": "integer", "description": "What a call of its own would have had."},
            "result": schema_of(descriptor),
            "detail": {"description": "As in an error of its own."},
            "reason": {"type": "string", "description": "As in an error of its own."},
        },
        "required": ["index", "status"],
    }
    listed = {"type": "object", "properties": {"results": {"type": "array", "items": result}}, "required": ["results"]}
    content = {"application/json": {"schema": listed}, "application/x-ndjson": {"schema": result}}
    return answer(descriptor, reads_body=True) | {200: {"description": "A result for each order.", "content": content}}


def batch_body() -> dict[str, Any]:
    """The request body of an operation that takes many orders."""
    order = TransactionBody.model_json_schema()
    listed = {
        "type": "object",
        # An item may be anything: what is no order is told in its place.
        "properties": {"transactions": {"type": "array", "items": {"anyOf": [order, {}]}, "maxItems": 1000}},
        "required": ["transactions"],
        "additionalProperties": False,
    }
    example = {"transactions": [DOCUMENTED_ORDER]}
    content = {"application/json": {"schema": listed, "example": example}, "application/x-ndjson": {"schema": order}}
    return {"requestBody": {"required": True, "content": content}}


def describe_keys(app: FastAPI) -> None:
    """Tell OpenAPI the two ways to send a key, so that /docs has its Authorize button; where no keys are set none is needed."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        document.setdefault("components", {})["securitySchemes"] = {
            "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document["security"] = [{}, {"x-api-key": []}, {"bearer": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def body() -> dict[str, Any]:
    """The request body of an operation that takes a transaction."""
    schema = TransactionBody.model_json_schema()
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": DOCUMENTED_ORDER}},
        }
    }


def message_body(descriptor: Descriptor | Any, without: Sequence[str] = ()) -> dict[str, Any]:
    """The request body of an operation that takes a message, but for fields that stand in its path."""
    schema = asked_schema(descriptor, without)
    # Also where nothing in it is: a web page of another origin cannot send JSON unasked.
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def event_stream(descriptor: Descriptor | Any) -> dict[int | str, Any]:
    """The `responses` of an operation that answers with events, whose data is this message as JSON."""
    event = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Its cursor."},
            "event": {"type": "string", "description": "What happened."},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema_of(descriptor)},
        },
    }
    return answer(descriptor) | {200: {"description": "Events.", "content": {"text/event-stream": {"schema": event}}}}
