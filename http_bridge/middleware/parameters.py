"""Parameters in queries: unknown, repeated and endless ones are refused, since without a filter everybody's records answer."""

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from http_bridge.errors import problem

LONGEST: Final = 16 << 10
"""Bytes of a query: all parameters of any route, at their longest and percent-encoded, have less."""
MOST: Final = 32
OPEN: Final = frozenset({"/docs/oauth2-redirect"})
"""Paths that a browser is sent to with parameters of others."""
_NAME = 64


class Parameters:
    """ASGI middleware: 422 for a query with a parameter that the route does not know, or one that stands there twice."""

    def __init__(self, app: ASGIApp, routes_of: FastAPI) -> None:
        """`routes_of` is the app whose routes tell what they know."""
        self._app, self._routes_of = app, routes_of
        self._known: dict[str, Sequence[str]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "http" and scope["query_string"] and (refusal := self._refusal(scope)):
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        query: bytes = scope["query_string"]
        if len(query) > LONGEST:
            return problem(scope, 414, f"the query is longer than {LONGEST:,} bytes")
        if query.count(b"&") >= MOST:
            return problem(scope, 422, [_wrong("", f"at most {MOST} parameters in a query")])
        known = self._known_at(scope)
        if known is None:
            return None  # no such path: that is told
        wrong, seen = [], set[str]()
        for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name not in known:
                wrong.append(_wrong(name, _unknown(name, known)))
            elif name in seen:
                wrong.append(_wrong(name, "the parameter stands there twice"))
            seen.add(name)
        return problem(scope, 422, wrong) if wrong else None

    def _known_at(self, scope: Scope) -> Sequence[str] | None:
        for route in self._routes_of.routes:
            if isinstance(route, Route) and route.path not in OPEN and route.matches(scope)[0] == Match.FULL:
                key = f"{scope['method']} {route.path}"
                if key not in self._known:
                    self._known[key] = known_parameters(self._routes_of, route, scope["method"])
                return self._known[key]
        return None


def known_parameters(app: FastAPI, route: Route, method: str) -> list[str]:
    """Names of the parameters that a route takes in its query."""
    # A route that stands before FastAPI's own has its parameters described there.
    described = [one for one in app.routes if isinstance(one, APIRoute) and one.path == route.path]
    known: list[str] = []
    for one in described:
        if method not in (one.methods or ()):
            continue
        known += [parameter.alias for parameter in one.dependant.query_params]
        listed: list[dict[str, Any]] = (one.openapi_extra or {}).get("parameters", [])
        known += [parameter["name"] for parameter in listed if parameter["in"] == "query"]
    return known


def _wrong(name: str, text: str) -> dict[str, Any]:
    return {"loc": ["query", *([name[:_NAME]] if name else [])], "msg": text, "type": "parameter"}


def _unknown(name: str, known: Sequence[str]) -> str:
    """What is said of a parameter that is not known, with the one that may be meant."""
    if not known:
        return "there is no such parameter; this path takes none"
    plain = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(name[:_NAME]), plain, 1, 0.5)
    meant = f"; did you mean {plain[near[0]]}?" if near else ""
    return f"there is no such parameter{meant or '; there are ' + ', '.join(known)}"


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
