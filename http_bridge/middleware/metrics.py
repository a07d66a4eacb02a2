"""Metrics of REST at /metrics: how long requests took, by route and status. No label holds what callers wrote."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import FastAPI
from prometheus_client import Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from runtime.telemetry.metrics import BUCKETS, render_metrics

PATH: Final = "/metrics"
_NONE: Final = "(none)"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = Histogram(
    "http_server_request_duration_seconds",  # as OpenTelemetry names it
    "Time from a request to the end of its answer",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=BUCKETS,
)
_SEVERAL = (
    "several workers answer here, each with counts of its own: start them with PROMETHEUS_MULTIPROC_DIR, the path of an "
    "empty folder, and this shows the sums\n"
)


class Measured:
    """Counts requests of an app by route; its labels are looked up once."""

    def __init__(self, app: FastAPI) -> None:
        self._app, self._series = app, dict[tuple[str, Any, int], Any]()
        self._routes: Mapping[Callable[..., Any], str] = {}

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        key = (method, scope.get("endpoint"), status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._labelled(*key)
        series.observe(seconds)

    def _labelled(self, method: str, endpoint: Any, status: int) -> Any:
        if not self._routes:  # all are there by the first request
            self._routes = {route.endpoint: route.path for route in self._app.routes if isinstance(route, Route)}
        route = self._routes.get(endpoint, _NONE)  # refused before it was known, or there is no such path
        return _SECONDS.labels(method, route, str(status))


def show_metrics(app: FastAPI) -> None:
    """Answer /metrics: of this process, or of all workers where they share a folder."""

    def metrics(request: Request) -> Response:  # in a thread: it reads files, and waits where one is only just made
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder is None and multiprocessing.parent_process() is not None:
            return PlainTextResponse(_SEVERAL, 503)
        return Response(render_metrics(folder), media_type=CONTENT_TYPE_LATEST)

    app.router.routes.append(Route(PATH, metrics, methods=["GET"], include_in_schema=False))
