"""Outermost middleware of both apps: access control, request ids, request timeouts, and a response for every error."""

import time
from collections.abc import Callable
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_bridge.errors import UPSTREAM_TIMEOUT, error_response, internal_error
from http_bridge.middleware import deadlines
from http_bridge.settings import HttpSettings
from runtime.access.keys import KEY_REQUIRED, KEY_UNKNOWN, ApiKeys, presented_key
from runtime.access.loopback import is_loopback
from runtime.rpc.call import REQUEST_ID, is_valid_metadata, request_id_or_new
from runtime.web.request_origin import is_local_caller, is_loopback_origin

PUBLIC_PATHS = ("/api/v1/health", "/docs", "/openapi.json", "/static-offline-docs")
"""Beginnings of the paths that need no key; so does the path `/` itself, which redirects to /docs."""
MAX_KEY_LENGTH = 4096
_EXPOSED = (
    "the bridge is reachable from other machines without API keys; set VOUCH_HTTP_API_KEYS (`vouch keys add NAME`), "
    "listen on 127.0.0.1, or set VOUCH_HTTP_INSECURE=true"
)
_FOREIGN = "cross-origin request without an API key; send a key, or use the same origin"
_RELAYED_HEADERS = ("x-api-key", "authorization")
_MIN_TIMEOUT_SECONDS = 0.001
"""Seconds. Nothing is decided in less, and gRPC would round it up."""


class AccessMiddleware:
    """ASGI middleware: 401 without a known key if keys are set, otherwise 403 off loopback and cross-origin."""

    def __init__(self, app: ASGIApp, settings: HttpSettings, record: Callable[[Scope, int, float], None]) -> None:
        """`record` is called after each response, with its status and duration in seconds."""
        self._app, self._record = app, record
        self._keys = ApiKeys(settings.api_keys) if settings.api_keys else None
        self._own_key = [("x-api-key", settings.api_key.get_secret_value())] if settings.api_key else []
        self._anywhere = settings.insecure or self._keys is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        identity = request_id_or_new(headers.get(REQUEST_ID, ""))
        passed = [(name, headers[name]) for name in _RELAYED_HEADERS if name in headers]
        if not passed and self._own_key and is_local_caller(scope):
            passed = self._own_key
        state = scope.setdefault("state", {})
        state["metadata"] = ((REQUEST_ID, identity), *passed)
        status, started = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID.encode(), identity.encode())]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None and any(name in headers for name in deadlines.NAMES):
            refusal = _timeout_error(scope, headers)
        try:
            await (refusal or self._app)(scope, receive, send_with_id)
        except Exception as error:
            # An exception that leaves here closes the connection, and with it other callers' requests that share it.
            response = internal_error(scope, identity, error)
            if status:
                raise
            await response(scope, receive, send_with_id)
        finally:
            if status:  # 0: the caller disconnected before the response
                self._record(scope, status, time.perf_counter() - started)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> JSONResponse | None:
        server = scope.get("server")
        if not self._anywhere and server and server[1] is not None and not is_loopback(server[0]):
            return error_response(scope, 403, _EXPOSED)
        if self._keys is None:
            return self._check_origin(scope, headers)
        if scope["path"] == "/" or scope["path"].startswith(PUBLIC_PATHS):
            return None
        key = presented_key(headers)
        if 0 < len(key) <= MAX_KEY_LENGTH and is_valid_metadata(key) and self._keys.holder_of(key) is not None:
            return None
        return error_response(scope, 401, KEY_UNKNOWN if key else KEY_REQUIRED, {"WWW-Authenticate": "Bearer"})

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> JSONResponse | None:
        """If no keys are required, reject keys that gRPC metadata cannot hold, and requests of cross-origin pages."""
        presented = [name for name in _RELAYED_HEADERS if name in headers]
        for name in presented:
            if not is_valid_metadata(headers[name]) or len(headers[name]) > MAX_KEY_LENGTH:
                wanted = f"the header {name} takes up to {MAX_KEY_LENGTH} printable ASCII characters"
                return error_response(scope, 422, [{"loc": ["header", name], "msg": wanted, "type": "header"}])
        origin = headers.get("origin")
        if origin is None or presented:
            return None
        return None if is_loopback_origin(origin, headers.get("host")) else error_response(scope, 403, _FOREIGN)


def _timeout_error(scope: Scope, headers: dict[str, str]) -> JSONResponse | None:
    """Store the request timeout in the scope's state. Return an error if it is invalid or too short."""
    try:
        seconds = scope["state"]["request_timeout"] = deadlines.request_timeout(headers)
    except ValueError as error:
        loc = ["header", str(error)]
        return error_response(scope, 422, [{"loc": loc, "msg": deadlines.FORMAT_ERROR, "type": "header"}])
    return (
        error_response(scope, 504, UPSTREAM_TIMEOUT) if seconds is not None and seconds < _MIN_TIMEOUT_SECONDS else None
    )


def timeout(request: Any, settings: HttpSettings) -> float:
    """Return the timeout of an upstream call in seconds: the request's, limited to VOUCH_HTTP_TIMEOUT_SECONDS."""
    seconds: float | None = request.scope["state"].get("request_timeout")
    return settings.timeout_seconds if seconds is None else min(seconds, settings.timeout_seconds)


def metadata(request: Any) -> tuple[tuple[str, str], ...]:
    """Return the metadata of an upstream call: the request id, and the caller's key if there is one."""
    pairs: tuple[tuple[str, str], ...] = request.scope["state"]["metadata"]
    return pairs
