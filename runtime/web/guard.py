"""Base class and middleware of all HTTP applications: connection limits, and the Host rule without API keys."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.telemetry.logging import get_logger
from runtime.web.connections import bound_connections, find_config
from runtime.web.request_origin import host_headers, is_allowed_host
from runtime.web.settings import WebSettings

HOST_REFUSED: Final = "Host is not allowed without an API key; use localhost, or add it to VOUCH_WEB_ALLOWED_HOSTS"
MISDIRECTED: Final = 421
_CACHED_HOSTS: Final = 64
_log = get_logger()


class BoundedServer(Starlette):
    """Base class of applications. Limits the connections of its uvicorn, however uvicorn was started."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Limit the connections when the server starts. Raise SettingsError."""
        if scope["type"] == "lifespan":
            config = find_config(receive)
            if config is None:
                _log.warning("connections are not limited: this server is not uvicorn")
            else:
                bound_connections(config, WebSettings.read())
        await super().__call__(scope, receive, send)


Refuse = Callable[[Scope, int, str, dict[str, str]], ASGIApp]
"""Builds the response to a refused request from its scope, the status, a message and headers."""


def _refuse(scope: Scope, status: int, message: str, headers: dict[str, str]) -> ASGIApp:
    return JSONResponse({"detail": message}, status, headers)


class WebGuard:
    """ASGI middleware. With `check_host`, requests whose Host is not allowed get 421."""

    def __init__(self, app: ASGIApp, settings: WebSettings, check_host: bool = True, refuse: Refuse = _refuse) -> None:
        self._app, self._check_host, self._refuse = app, check_host, refuse
        # Callers repeat few hosts, and parsing one takes as long as parsing an order.
        self._allows = lru_cache(_CACHED_HOSTS)(
            lambda hosts, own_address: is_allowed_host(hosts, settings.allowed_hosts, own_address)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and self._check_host and not self._is_allowed(scope):
            # Close the connection instead of waiting for a body that is not read.
            refusal = self._refuse(scope, MISDIRECTED, HOST_REFUSED, {"Connection": "close"})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        server = scope.get("server")
        return self._allows(tuple(host_headers(scope)), server[0] if server else "")
