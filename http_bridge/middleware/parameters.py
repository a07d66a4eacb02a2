"""Validation of query parameters. A misspelt filter must not be ignored, since the response would list all records."""

import difflib
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from http_bridge.errors import error_response
from http_bridge.json.hints import plain_name

MAX_QUERY_BYTES: Final = 16 << 10
"""More than all parameters of any route need at their maximum lengths, percent-encoded."""
MAX_PARAMETERS: Final = 32
EXEMPT_PATHS: Final = frozenset({"/docs/oauth2-redirect"})
"""Paths that browsers are redirected to, with parameters of other servers."""
_MAX_NAME = 64


class ParametersMiddleware:
    """ASGI middleware that answers 422 to unknown and repeated query parameters."""

    def __init__(self, app: ASGIApp, routes_of: FastAPI) -> None:
        """`routes_of` is the app whose routes define the parameters."""
        self._app, self._routes_of = app, routes_of
        self._known: dict[str, Sequence[str]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] == "http" and scope["query_string"] and (refusal := self._refusal(scope)):
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        query: bytes = scope["query_string"]
        if len(query) > MAX_QUERY_BYTES:
            return error_response(scope, 414, f"the query is longer than {MAX_QUERY_BYTES:,} bytes")
        if query.count(b"&") >= MAX_PARAMETERS:
            return error_response(scope, 422, [_detail("", f"at most {MAX_PARAMETERS} parameters in a query")])
        known = self._known_at(scope)
        if known is None:
            return None  # an unknown path: the router answers 404
        errors, seen = [], set[str]()
        for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name not in known:
                errors.append(_detail(name, _unknown(name, known)))
            elif name in seen:
                errors.append(_detail(name, "the parameter is repeated"))
            seen.add(name)
        return error_response(scope, 422, errors) if errors else None

    def _known_at(self, scope: Scope) -> Sequence[str] | None:
        known = self._known.get(f"{scope['method']} {scope['path']}")
        if known is not None:  # a path without parameters in it
            return known
        for route in self._routes_of.routes:
            if isinstance(route, Route) and route.path not in EXEMPT_PATHS and route.matches(scope)[0] == Match.FULL:
                key = f"{scope['method']} {route.path}"
                if key not in self._known:
                    self._known[key] = known_parameters(self._routes_of, route, scope["method"])
                return self._known[key]
        return None


def known_parameters(app: FastAPI, route: Route, method: str) -> list[str]:
    """Return the names of a route's query parameters."""
    # A route that `post` inserted before FastAPI's own has its parameters described there.
    described = [one for one in app.routes if isinstance(one, APIRoute) and one.path == route.path]
    known: list[str] = []
    for one in described:
        if method not in (one.methods or ()):
            continue
        known += [parameter.alias for parameter in one.dependant.query_params]
        listed: list[dict[str, Any]] = (one.openapi_extra or {}).get("parameters", [])
        known += [parameter["name"] for parameter in listed if parameter["in"] == "query"]
    return known


def _detail(name: str, text: str) -> dict[str, Any]:
    return {"loc": ["query", *([name[:_MAX_NAME]] if name else [])], "msg": text, "type": "parameter"}


def _unknown(name: str, known: Sequence[str]) -> str:
    """Return the error for an unknown parameter, with the most similar known one."""
    if not known:
        return "unknown parameter; this path takes none"
    plain = {plain_name(one): one for one in known}
    near = difflib.get_close_matches(plain_name(name), plain, 1, 0.5)
    hint = f"did you mean {plain[near[0]]}?" if near else f"known parameters: {', '.join(known)}"
    return f"unknown parameter; {hint}"
