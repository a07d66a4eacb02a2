"""REST metrics at /metrics: request durations by route and status. No label contains callers' data."""

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
    "Time from a request to the end of its response",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=BUCKETS,
)
_SEVERAL = (
    "there are several workers with separate counts; start them with PROMETHEUS_MULTIPROC_DIR, the path of an empty folder, "
    "to get their sums\n"
)


class RequestMetrics:
    """Durations of an app's requests, by route. Caches the labelled series."""

    def __init__(self, app: FastAPI) -> None:
        self._app, self._series = app, dict[tuple[str, Any, int], Any]()
        self._routes: Mapping[Callable[..., Any], str] = {}

    def record(self, scope: Scope, status: int, seconds: float) -> None:
        """Record a request with its status and duration."""
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        key = (method, scope.get("endpoint"), status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._labelled(*key)
        series.observe(seconds)

    def _labelled(self, method: str, endpoint: Any, status: int) -> Any:
        if not self._routes:  # read at the first request, when all routes are added
            self._routes = {route.endpoint: route.path for route in self._app.routes if isinstance(route, Route)}
        route = self._routes.get(endpoint, _NONE)  # none: rejected before routing, or an unknown path
        return _SECONDS.labels(method, route, str(status))


def add_metrics_route(app: FastAPI) -> None:
    """Add the route /metrics: of this process, or of all workers if they share a folder."""

    def metrics(request: Request) -> Response:  # runs in a thread, because it reads files
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder is None and multiprocessing.parent_process() is not None:
            return PlainTextResponse(_SEVERAL, 503)
        return Response(render_metrics(folder), media_type=CONTENT_TYPE_LATEST)

    app.router.routes.append(Route(PATH, metrics, methods=["GET"], include_in_schema=False))
