"""Routes that are answered without FastAPI, whose work around an endpoint takes as long as that of the bridge."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoutes:
    """ASGI app that answers POST requests for its own routes, and passes all others on.

    Errors of its endpoints are answered by the same handlers as those of FastAPI's routes.
    """

    def __init__(
        self, routes: Mapping[str, Route], others: ASGIApp, error_handlers: Mapping[Any, Callable[..., Any]]
    ) -> None:
        """`routes` are by path, without parameters; `others` answers all other requests."""
        self._routes, self._others, self._error_handlers = routes, others, error_handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        route = self._routes.get(scope["path"]) if scope["method"] == "POST" else None
        if route is None:
            await self._others(scope, receive, send)
            return
        scope["endpoint"], scope["route"] = route.endpoint, route
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except Exception as error:
            handler = next(filter(None, map(self._error_handlers.get, type(error).__mro__)), None)
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)
