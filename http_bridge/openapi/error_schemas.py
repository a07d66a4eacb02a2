"""OpenAPI descriptions of errors: their schema, and one response with an example for each status."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.error_statuses import STATUSES, reason_name

ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Error",
    "description": "Why a request failed.",
    "properties": {
        "detail": {
            "description": "A sentence; for invalid input a list of problems.",
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "title": "Problem",
                        "description": "What is wrong with a field.",
                        "properties": {
                            "loc": {
                                "type": "array",
                                "items": {"type": "string"},
                                "description": "Where: body, query, path or header, then the field.",
                            },
                            "msg": {"type": "string", "description": "What is wrong."},
                            "type": {"type": "string", "description": "The rule that is broken."},
                        },
                        "required": ["loc", "msg", "type"],
                    },
                },
            ],
        },
        "reason": {
            "type": "string",
            "enum": [reason_name(reason) for reason in STATUSES],
            "description": "The reason code of the contract, for programs.",
        },
        "request_id": {"type": "string", "description": "The id of the request in the log."},
    },
    "required": ["detail", "reason", "request_id"],
}


class _ErrorResponse(NamedTuple):
    """Name of the component, description, and the reason and detail of the example."""

    name: str
    description: str
    reason: ErrorReason
    detail: Any


_FIELD_PROBLEM: Final = [
    {"loc": ["body", "order_amount"], "msg": "Input should be greater than 0", "type": "greater_than"}
]
_RESPONSES: Final[Mapping[int, _ErrorResponse]] = {
    400: _ErrorResponse(
        "NotGzip", "The body is not the gzip that its header promises.", ErrorReason.ERROR_REASON_INVALID_REQUEST,
        "the body's gzip data is incomplete",
    ),
    401: _ErrorResponse(
        "KeyInvalid", "The API key is missing or unknown.", ErrorReason.ERROR_REASON_API_KEY_INVALID,
        "the API key is unknown",
    ),
    403: _ErrorResponse(
        "Forbidden",
        "The key's role does not allow the call; or, without keys, the request comes from another origin or machine.",
        ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT,
        "this call needs the role reviewer",
    ),
    404: _ErrorResponse(
        "NotFound", "Not found.", ErrorReason.ERROR_REASON_DECISION_NOT_FOUND, "there is no decision for this transaction"
    ),
    408: _ErrorResponse(
        "BodyTimeout", "The body did not arrive in time.", ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
        "the request did not arrive in time",
    ),
    409: _ErrorResponse(
        "Conflict", "The case is claimed by another reviewer or resolved.", ErrorReason.ERROR_REASON_CASE_NOT_AVAILABLE,
        "the case is resolved",
    ),
    413: _ErrorResponse(
        "BodyTooLarge", "The body is too large.", ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE,
        "the body is larger than 1,048,576 bytes",
    ),
    414: _ErrorResponse(
        "QueryTooLong", "The query is too long.", ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE,
        "the query is longer than 16,384 bytes",
    ),
    415: _ErrorResponse(
        "ContentTypeInvalid", "The content type is not application/json, or the body is packed by something else than gzip.",
        ErrorReason.ERROR_REASON_INVALID_REQUEST, "the content type must be application/json",
    ),
    421: _ErrorResponse(
        "HostNotAllowed", "Without keys: the Host is unknown.", ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT,
        "Host is not allowed without an API key; use localhost, or add it to VOUCH_WEB_ALLOWED_HOSTS",
    ),
    422: _ErrorResponse(
        "Invalid", "The request is invalid; each entry of `detail` names a field.",
        ErrorReason.ERROR_REASON_INVALID_REQUEST, _FIELD_PROBLEM,
    ),
    429: _ErrorResponse(
        "Overloaded", "The service is overloaded; retry after Retry-After seconds.",
        ErrorReason.ERROR_REASON_OVERLOADED, "too many requests in flight; retry in a second",
    ),
    500: _ErrorResponse(
        "Internal", "Internal error; the log contains it with the request id.", ErrorReason.ERROR_REASON_INTERNAL,
        "internal error; see the log for the request id",
    ),
    503: _ErrorResponse(
        "Unavailable", "An upstream service is unavailable; retry.", ErrorReason.ERROR_REASON_SERVICE_UNAVAILABLE,
        "upstream service unavailable; retry",
    ),
    504: _ErrorResponse(
        "Timeout", "The request timed out.", ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
        "upstream service did not answer in time",
    ),
}  # fmt: skip
_OF_BODIES: Final = frozenset({400, 408, 413, 415})
LOCAL: Final = frozenset({403, 414, 421, 422, 500})
"""Statuses of an operation that calls no service and needs no key."""
_REFERENCE: Final = "#/components/responses/"


def error_responses(*, reads_body: bool = False, finds: bool = False, conflicts: bool = False) -> dict[int | str, Any]:
    """Return the error responses of an operation by status.

    `reads_body` adds the errors of request bodies, `finds` adds 404, and `conflicts` adds 409.
    """
    wanted = (reads_body, finds, conflicts)
    left_out = {
        status for yes, part in zip(wanted, (_OF_BODIES, {404}, {409}), strict=True) if not yes for status in part
    }
    return {status: _response(status) for status in _RESPONSES if status not in left_out}


def local_error_responses() -> dict[int | str, Any]:
    """Return the error responses of an operation that calls no service and needs no key."""
    return {status: _response(status) for status in _RESPONSES if status in LOCAL}


def _response(status: int) -> dict[str, Any]:
    about = _RESPONSES[status]
    example = {"detail": about.detail, "reason": reason_name(about.reason), "request_id": "7c1f9f0e8d3b4a5f"}
    return {
        "description": about.description,
        "content": {"application/json": {"schema": ERROR, "example": example}},
    }


def hoist_error_responses(document: dict[str, Any], is_error: str) -> None:
    """Move error responses to `components`, each written once. `is_error` is the reference to the schema of errors."""
    hoisted: dict[str, Any] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            for status, response in responses.items():
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                if schema == {"$ref": is_error}:
                    name = _RESPONSES[int(status)].name
                    hoisted[name] = response
                    responses[status] = {"$ref": _REFERENCE + name}
    document["components"]["responses"] = dict(sorted(hoisted.items()))
