"""uvicorn's access log without callers' data: a transaction id in a path is data of an order."""

import logging

from fastapi import FastAPI
from starlette.routing import Match, Route

_UNKNOWN = "(no such path)"


def redact_access_log(app: FastAPI) -> None:
    """Log the route of each request, such as `/api/v1/decisions/{transaction_id}`, instead of its path and query."""

    def use_route(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, _route_of(app, str(path)), version, status)
        return True

    logging.getLogger("uvicorn.access").addFilter(use_route)


def _route_of(app: FastAPI, path: str) -> str:
    scope = {"type": "http", "path": path.partition("?")[0], "method": "GET"}
    for route in app.routes:
        if isinstance(route, Route) and route.matches(scope)[0] != Match.NONE:
            return route.path
    return _UNKNOWN
