"""What every HTTP application has: bounds on the connections of its server, and the Host rule where no key is asked for."""

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.access.hosts import is_allowed_host
from runtime.telemetry.logging import get_logger
from runtime.web.connections import bound_connections, find_config
from runtime.web.settings import WebSettings

FOREIGN_HOST: Final = "this Host is not served without an API key: use localhost, or name it in VOUCH_WEB_ALLOWED_HOSTS"
MISDIRECTED: Final = 421
_log = get_logger()


class BoundedServer(Starlette):
    """Base of applications: the uvicorn that starts one bounds its connections, however it was started itself."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bound the connections when the server starts. Raises SettingsError."""
        if scope["type"] == "lifespan":
            config = find_config(receive)
            if config is None:
                _log.warning("connections are not bounded: this server is not uvicorn")
            else:
                bound_connections(config, WebSettings.read())
        await super().__call__(scope, receive, send)


Refuse = Callable[[Scope, int, str, dict[str, str]], ASGIApp]
"""Makes the answer to a refused request: of its scope, the status, a sentence, and headers."""


def _refuse(scope: Scope, status: int, sentence: str, headers: dict[str, str]) -> ASGIApp:
    return JSONResponse({"detail": sentence}, status, headers)


class WebGuard:
    """ASGI middleware. With `check_host`, requests that name a foreign host get 421."""

    def __init__(self, app: ASGIApp, settings: WebSettings, check_host: bool = True, refuse: Refuse = _refuse) -> None:
        self._app, self._settings, self._check_host, self._refuse = app, settings, check_host, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "http" and self._check_host and not self._is_allowed(scope):
            # The connection is closed: a body that nobody reads is not waited for.
            refusal = self._refuse(scope, MISDIRECTED, FOREIGN_HOST, {"Connection": "close"})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        server = scope.get("server")
        return is_allowed_host(hosts, self._settings.allowed_hosts, server[0] if server else "")
