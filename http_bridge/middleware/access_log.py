"""uvicorn's access log without what callers write: an id of an order in a path is an order's field."""

import logging

from fastapi import FastAPI
from starlette.routing import Match, Route

_UNKNOWN = "(no such path)"


def keep_ids_out_of_access_log(app: FastAPI) -> None:
    """Let each line name the route, `/api/v1/decisions/{transaction_id}` say, instead of the path and its query."""

    def name_the_route(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, _route_of(app, str(path)), version, status)
        return True

    logging.getLogger("uvicorn.access").addFilter(name_the_route)


def _route_of(app: FastAPI, path: str) -> str:
    scope = {"type": "http", "path": path.partition("?")[0], "method": "GET"}
    for route in app.routes:
        if isinstance(route, Route) and route.matches(scope)[0] != Match.NONE:
            return route.path
    return _UNKNOWN
