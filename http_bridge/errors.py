"""REST errors. `detail` is FastAPI's list for invalid input, otherwise a sentence; it never contains internals.

`reason` is the contract's ErrorReason, for programs; `request_id` identifies the request in the log.
"""

from typing import Any, Final

import grpc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from google.rpc import status_pb2
from grpc_status import rpc_status
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import Scope

from generated.vouch.v1.error_reason_pb2 import ErrorReason
from http_bridge.json.hints import unknown_field
from http_bridge.json.mapping import EXTRA
from runtime.error_statuses import HTTP_STATUS, reason_name
from runtime.errors import MAX_VIOLATIONS, reason_of, violations_of
from runtime.rpc.call import REQUEST_ID
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

INTERNAL = "internal error; see the log for the request id"
UPSTREAM_UNAVAILABLE = "upstream service unavailable; retry"
UPSTREAM_TIMEOUT = "upstream service did not answer in time"
_LONGEST_NAME = 128
_REASONS: Final = {
    401: ErrorReason.ERROR_REASON_API_KEY_INVALID,
    403: ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT,
    404: ErrorReason.ERROR_REASON_NOT_IMPLEMENTED,  # unknown path; a service's NOT_FOUND has its own reason
    405: ErrorReason.ERROR_REASON_NOT_IMPLEMENTED,
    408: ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
    413: ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE,
    414: ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE,
    421: ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT,
    429: ErrorReason.ERROR_REASON_OVERLOADED,
    431: ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE,
    500: ErrorReason.ERROR_REASON_INTERNAL,
    501: ErrorReason.ERROR_REASON_NOT_IMPLEMENTED,
    503: ErrorReason.ERROR_REASON_SERVICE_UNAVAILABLE,
    504: ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
}
"""Reasons of the bridge's own errors, by HTTP status. Other statuses have INVALID_REQUEST."""
_log = get_logger()


class BodyTooLarge(Exception):
    """The body is larger than VOUCH_HTTP_MAX_BODY_BYTES."""


def install_error_handlers(app: FastAPI) -> None:
    """Add handlers for all expected errors of an app. AccessMiddleware answers the others with `internal_error`."""
    app.add_exception_handler(ValidationError, _invalid_body)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(grpc.aio.AioRpcError, _rpc_error)
    app.add_exception_handler(BodyTooLarge, _too_large)
    app.add_exception_handler(ClientDisconnect, _client_disconnected)
    app.add_exception_handler(HTTPException, _http_exception)


def error_response(
    scope: Scope, status: int, detail: Any, headers: dict[str, str] | None = None, *, reason: str = ""
) -> JSONResponse:
    """Return an error response. Without a `reason` from a service it has the reason of its status."""
    content = {"detail": detail, "reason": reason or reason_of_status(status), "request_id": _request_id(scope)}
    return JSONResponse(content, status_code=status, headers=headers)


def reason_of_status(status: int) -> str:
    """Return the reason of the bridge's own errors with an HTTP status."""
    return reason_name(_REASONS.get(status, ErrorReason.ERROR_REASON_INVALID_REQUEST))


def _request_id(scope: Scope) -> str:
    """Return the request id that AccessMiddleware set."""
    metadata: dict[str, str] = dict(scope.get("state", {}).get("metadata", ()))
    return metadata.get(REQUEST_ID, "")


async def _invalid_body(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ValidationError)
    return error_response(request.scope, 422, detail_of(error))


async def _invalid_parameters(request: Request, error: Exception) -> JSONResponse:
    """Return the errors without the input, which may be personal data."""
    assert isinstance(error, RequestValidationError)
    detail = [{"loc": one["loc"], "msg": one["msg"], "type": one["type"]} for one in error.errors()[:MAX_VIOLATIONS]]
    return error_response(request.scope, 422, detail)


def detail_of(error: ValidationError) -> list[dict[str, Any]]:
    """Return the `detail` list of a body's validation error, without the input."""
    problems = error.errors(include_url=False, include_context=False)
    listed = [
        {
            "loc": ["body", *(str(part)[:_LONGEST_NAME] for part in problem["loc"])],
            "msg": _message(problem),
            "type": problem["type"],
        }
        for problem in problems[:MAX_VIOLATIONS]
    ]
    if len(problems) > len(listed):
        listed.append({"loc": ["body"], "msg": f"and {len(problems) - len(listed):,} more", "type": "more"})
    return listed


def _message(problem: ErrorDetails) -> str:
    """Return the message for one problem. It contains no input, which may be personal data, or NaN."""
    if problem["type"] == "extra_forbidden":
        return unknown_field(str(problem["loc"][-1]), problem["input"])
    return problem["msg"]


async def _too_large(request: Request, error: Exception) -> JSONResponse:
    return error_response(request.scope, 413, f"the body is larger than {error.args[0]:,} bytes")


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return error_response(request.scope, error.status_code, error.detail, headers)


def _methods(request: Request) -> list[str]:
    """Return the methods that all routes of a path accept together. Starlette reports those of the first route only."""
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE
    ]
    exact = [route for route in matching if route.path == request.scope["path"]]
    return sorted({method for route in exact or matching for method in route.methods or ()})


async def _client_disconnected(request: Request, error: Exception) -> JSONResponse:
    return error_response(request.scope, 400, "the request ended before it was complete")  # the caller has disconnected


def internal_error(scope: Scope, request_id: str, error: Exception) -> JSONResponse:
    """Log an unexpected error by its type and lines of code, since its message may contain order data; return 500."""
    route = scope.get("route")  # not the path, which contains ids
    _log.error(
        "request failed", route=getattr(route, "path", None), request_id=request_id,
        error=type(error).__name__, where=traceback_frames(error),
    )  # fmt: skip
    return error_response(scope, 500, INTERNAL)


async def _rpc_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, grpc.aio.AioRpcError)
    part = "body" if request.method == "POST" else "path" if request.path_params else "query"
    rich = rpc_status.from_call(error)
    status, detail = http_error(error.code(), rich, part)
    headers = {"Retry-After": "1"} if status == 429 else None
    return error_response(request.scope, status, detail, headers, reason=reason_of(rich))


def http_error(code: grpc.StatusCode, rich: status_pb2.Status | None, part: str) -> tuple[int, Any]:
    """Return the HTTP status and `detail` of a service's error. `part` is where its fields are: body, path or query."""
    status = HTTP_STATUS.get(code, 500)
    if rich is None:  # raised by gRPC itself: its message may name addresses
        texts = {503: UPSTREAM_UNAVAILABLE, 504: UPSTREAM_TIMEOUT}
        return status, texts.get(status, INTERNAL if status == 500 else code.name.lower())
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return 422, _violations(part, rich)
    return status, INTERNAL if status == 500 else rich.message


def _field_path(path: str) -> list[str]:
    """Return the parts of a field's path. An extra field is `extra` and its name, which may contain dots."""
    path = path.removeprefix("transaction.")
    if path.startswith(("extra_numbers[", "extra_texts[")) and path.endswith("]"):
        return [EXTRA, path.partition("[")[2][:-1]]
    return path.split(".")


def _violations(part: str, rich: status_pb2.Status) -> list[dict[str, Any]]:
    return [
        {"loc": [part, *_field_path(field)], "msg": description, "type": "contract"}
        for field, description in violations_of(rich)
    ] or [{"loc": [part], "msg": rich.message, "type": "contract"}]
