"""In front of both apps: who may come in, the id that a request is known by in all logs, and an answer whatever goes wrong."""

import time
from collections.abc import Callable
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_bridge.errors import LATE, problem, unexpected
from http_bridge.middleware import deadlines
from http_bridge.settings import HttpSettings
from runtime.access.keys import KEY_REQUIRED, KEY_UNKNOWN, ApiKeys, presented_key
from runtime.access.loopback import is_loopback
from runtime.rpc.call import REQUEST_ID, is_valid_metadata, request_id_or_new
from runtime.web.request_origin import is_local_caller, is_loopback_origin

OPEN = ("/api/v1/health", "/docs", "/openapi.json", "/static-offline-docs")
LONGEST_KEY = 4096
_EXPOSED = (
    "this bridge is open to other machines, and nothing asks who calls: set VOUCH_HTTP_API_KEYS (`vouch keys add NAME`), "
    "listen on 127.0.0.1, or set VOUCH_HTTP_INSECURE=true"
)
_FOREIGN = "cross-origin request without an API key; send a key, or use the same origin"
_PASSED_ON = ("x-api-key", "authorization")
_LEAST_PATIENCE = 0.001
"""Seconds. Nothing is decided in less, and gRPC would round it up."""


class Gate:
    """ASGI middleware: 401 without a known key where keys are set; elsewhere 403 beyond loopback and to foreign pages."""

    def __init__(self, app: ASGIApp, settings: HttpSettings, ended: Callable[[Scope, int, float], None]) -> None:
        """`ended` is told of each answer: its status, and the seconds that it took."""
        self._app, self._ended = app, ended
        self._keys = ApiKeys(settings.api_keys) if settings.api_keys else None
        self._own = [("x-api-key", settings.api_key.get_secret_value())] if settings.api_key else []
        self._anywhere = settings.insecure or self._keys is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        identity = request_id_or_new(headers.get(REQUEST_ID, ""))
        passed = [(name, headers[name]) for name in _PASSED_ON if name in headers]
        if not passed and self._own and is_local_caller(scope):
            passed = self._own
        state = scope.setdefault("state", {})
        state["metadata"] = ((REQUEST_ID, identity), *passed)
        status, begun = 0, time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID.encode(), identity.encode())]
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None and any(name in headers for name in deadlines.NAMES):
            refusal = _timeout_error(scope, headers)
        try:
            await (refusal or self._app)(scope, receive, answer)
        except Exception as error:
            # What gets out of here closes the connection, and with it the calls of others that an edge sends over it.
            answered = unexpected(scope, identity, error)
            if status:
                raise
            await answered(scope, receive, answer)
        finally:
            if status:  # nobody is there for an answer that never began
                self._ended(scope, status, time.perf_counter() - begun)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> JSONResponse | None:
        server = scope.get("server")
        if not self._anywhere and server and server[1] is not None and not is_loopback(server[0]):
            return problem(scope, 403, _EXPOSED)
        if self._keys is None:
            return self._check_origin(scope, headers)
        if scope["path"].startswith(OPEN):
            return None
        key = presented_key(headers)
        if 0 < len(key) <= LONGEST_KEY and is_valid_metadata(key) and self._keys.holder_of(key) is not None:
            return None
        return problem(scope, 401, KEY_UNKNOWN if key else KEY_REQUIRED, {"WWW-Authenticate": "Bearer"})

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> JSONResponse | None:
        """Refuse, where no key is asked for, a key that gRPC could not carry on, and pages that are none of ours."""
        for name in _PASSED_ON:
            if not is_valid_metadata(headers.get(name, "")) or len(headers.get(name, "")) > LONGEST_KEY:
                wanted = f"the header {name} takes up to {LONGEST_KEY} printable characters of ASCII"
                return problem(scope, 422, [{"loc": ["header", name], "msg": wanted, "type": "header"}])
        origin = headers.get("origin")
        if origin is None or any(name in headers for name in _PASSED_ON):
            return None
        return None if is_loopback_origin(origin, headers.get("host")) else problem(scope, 403, _FOREIGN)


def _timeout_error(scope: Scope, headers: dict[str, str]) -> JSONResponse | None:
    """Note how long the caller waits; refuse what cannot be read, and who waits no longer."""
    try:
        seconds = scope["state"]["patience"] = deadlines.request_timeout(headers)
    except ValueError as error:
        loc = ["header", str(error)]
        return problem(scope, 422, [{"loc": loc, "msg": deadlines.WANTED, "type": "header"}])
    return problem(scope, 504, LATE) if seconds is not None and seconds < _LEAST_PATIENCE else None


def timeout(request: Any, settings: HttpSettings) -> float:
    """Seconds that a call behind may take: the caller's patience, and never more than VOUCH_HTTP_TIMEOUT_SECONDS."""
    seconds: float | None = request.scope["state"].get("patience")
    return settings.timeout_seconds if seconds is None else min(seconds, settings.timeout_seconds)


def metadata(request: Any) -> tuple[tuple[str, str], ...]:
    """What goes on to the service behind: the request's id, and the caller's key where there is one."""
    pairs: tuple[tuple[str, str], ...] = request.scope["state"]["metadata"]
    return pairs
