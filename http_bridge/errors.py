"""Errors as REST shows them: FastAPI's `detail` list for bad input, a sentence otherwise, never anything internal.

Beside `detail` stand the contract's reason, by which programs tell errors apart, and the id of the request.
"""

from typing import Any, Final

import grpc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from google.rpc import status_pb2
from grpc_status import rpc_status
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route
from starlette.types import Scope

from generated.vouch.v1.error_reason_pb2 import ErrorReason
from http_bridge.json.mapping import EXTRA
from runtime.error_statuses import HTTP_STATUS, reason_name
from runtime.errors import MOST_VIOLATIONS, reason_of, violations_of
from runtime.rpc.call import REQUEST_ID
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

INTERNAL = "internal error; the log has it"
AWAY = "a service behind is away: try again"
LATE = "the service behind did not answer in time"
_LONGEST_NAME = 128
_REASONS: Final = {
    401: ErrorReason.ERROR_REASON_API_KEY_INVALID,
    403: ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT,
    404: ErrorReason.ERROR_REASON_NOT_IMPLEMENTED,  # a path; what a service does not find has a reason of its own
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
"""Reasons of what the bridge says itself, by HTTP's status; of any other status it is INVALID_REQUEST."""
_log = get_logger()


class BodyTooLarge(Exception):
    """The body is larger than VOUCH_HTTP_MAX_BODY_BYTES."""


def install(app: FastAPI) -> None:
    """Answer every kind of error of an app. What nobody foresaw the gate answers with `unexpected`."""
    app.add_exception_handler(ValidationError, _invalid)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(grpc.aio.AioRpcError, _from_grpc)
    app.add_exception_handler(BodyTooLarge, _too_large)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(HTTPException, _http)


def problem(
    scope: Scope, status: int, detail: Any, headers: dict[str, str] | None = None, *, reason: str = ""
) -> JSONResponse:
    """An error of REST; without a `reason` of a service it has that of its status."""
    content = {"detail": detail, "reason": reason or reason_of_status(status), "request_id": _request_id(scope)}
    return JSONResponse(content, status_code=status, headers=headers)


def reason_of_status(status: int) -> str:
    """The contract's reason of what the bridge itself says with a status of HTTP."""
    return reason_name(_REASONS.get(status, ErrorReason.ERROR_REASON_INVALID_REQUEST))


def _request_id(scope: Scope) -> str:
    """The id that the gate gave a request."""
    passed_on: dict[str, str] = dict(scope.get("state", {}).get("metadata", ()))
    return passed_on.get(REQUEST_ID, "")


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ValidationError)
    return problem(request.scope, 422, detail_of(error))


async def _invalid_parameters(request: Request, error: Exception) -> JSONResponse:
    """Without what was sent, which may be personal."""
    assert isinstance(error, RequestValidationError)
    told = [{"loc": one["loc"], "msg": one["msg"], "type": one["type"]} for one in error.errors()[:MOST_VIOLATIONS]]
    return problem(request.scope, 422, told)


def detail_of(error: ValidationError) -> list[dict[str, Any]]:
    """What is wrong with an order, as `detail` tells it."""
    # Without the input: it may be NaN, which JSON cannot say, or personal, which nobody needs twice.
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        {
            "loc": ["body", *(str(part)[:_LONGEST_NAME] for part in problem["loc"])],
            "msg": problem["msg"],
            "type": problem["type"],
        }
        for problem in problems[:MOST_VIOLATIONS]
    ]
    if len(problems) > len(shown):
        shown.append({"loc": ["body"], "msg": f"and {len(problems) - len(shown):,} more", "type": "more"})
    return shown


async def _too_large(request: Request, error: Exception) -> JSONResponse:
    return problem(request.scope, 413, f"the body is larger than {error.args[0]:,} bytes")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(request.scope, error.status_code, error.detail, headers)


def _methods(request: Request) -> list[str]:
    """What a path may be asked with, over all routes that have it; Starlette tells of the first of them."""
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE
    ]
    exact = [route for route in matching if route.path == request.scope["path"]]
    return sorted({method for route in exact or matching for method in route.methods or ()})


async def _gone(request: Request, error: Exception) -> JSONResponse:
    """For nobody: the caller hung up."""
    return problem(request.scope, 400, "the request ended before it was whole")


def unexpected(scope: Scope, request_id: str, error: Exception) -> JSONResponse:
    """A fault of ours: logged by type and lines of code, since a message can hold a value of an order."""
    route = scope.get("route")  # not the path itself, which holds ids
    _log.error(
        "request failed", route=getattr(route, "path", None), request_id=request_id,
        error=type(error).__name__, where=traceback_frames(error),
    )  # fmt: skip
    return problem(scope, 500, INTERNAL)


async def _from_grpc(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, grpc.aio.AioRpcError)
    part = "body" if request.method == "POST" else "path" if request.path_params else "query"
    rich = rpc_status.from_call(error)
    status, detail = http_error(error.code(), rich, part)
    headers = {"Retry-After": "1"} if status == 429 else None
    return problem(request.scope, status, detail, headers, reason=reason_of(rich))


def http_error(code: grpc.StatusCode, rich: status_pb2.Status | None, part: str) -> tuple[int, Any]:
    """HTTP's status and `detail` of what a service says; `part` is where fields stand: body, path or query."""
    status = HTTP_STATUS.get(code, 500)
    if rich is None:  # gRPC's own words, which may name addresses
        words = {503: AWAY, 504: LATE}
        return status, words.get(status, INTERNAL if status == 500 else code.name.lower())
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return 422, _violations(part, rich)
    return status, INTERNAL if status == 500 else rich.message


def _parts(path: str) -> list[str]:
    """The parts of a field's path in a service's words; an extra's name may hold a dot, and is REST's `extra`."""
    path = path.removeprefix("transaction.")
    if path.startswith(("extra_numbers[", "extra_texts[")) and path.endswith("]"):
        return [EXTRA, path.partition("[")[2][:-1]]
    return path.split(".")


def _violations(part: str, rich: status_pb2.Status) -> list[dict[str, Any]]:
    return [
        {"loc": [part, *_parts(field)], "msg": description, "type": "contract"}
        for field, description in violations_of(rich)
    ] or [{"loc": [part], "msg": rich.message, "type": "contract"}]
