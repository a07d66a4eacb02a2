"""The metrics endpoint for Prometheus: an HTTP listener in a thread with its own event loop."""

import contextlib
import socket
import threading
from typing import Any, Final

import uvicorn
from prometheus_client import Gauge
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import mark_process_dead
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runtime.telemetry.metrics import registry_of
from runtime.web.guard import BoundedServer, WebGuard
from runtime.web.settings import WebSettings

WORKERS_ALIVE: Final = "vouch_workers_alive"
PATHS: Final = ("/metrics", "/")
_GRACE_SECONDS = 1


class Exposition:
    """Server of the metrics of this process, or of all workers."""

    def __init__(self, address: str, folder: str | None = None) -> None:
        """Listen on `address`. Workers write their metrics to `folder`. Raise OSError if the address is in use."""
        registry = registry_of(folder)
        self.workers = Gauge(WORKERS_ALIVE, "Running worker processes", registry=registry)
        self.workers.set(1)
        self._folder = folder
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, int(port)), family=family)
        self.port: int = self._socket.getsockname()[1]

        def metrics(
            request: Request,
        ) -> Response:  # runs in a thread: it reads files, and waits for one that is being created
            encode, kind = choose_encoder(request.headers.get("accept", ""))
            return Response(encode(registry), headers={"content-type": kind})

        self._server = _Server(
            uvicorn.Config(
                _application(metrics, WebSettings.read()), lifespan="on", ws="none", log_config=None,
                access_log=False, proxy_headers=False, server_header=False, timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True, name="metrics")
        self._thread.start()

    def remove_worker(self, pid: int) -> None:
        """Remove the gauges of a dead worker from the sums; its counters stay."""
        mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _application(metrics: Any, web: WebSettings) -> BoundedServer:
    routes = [Route(path, metrics, methods=["GET"]) for path in PATHS]
    return BoundedServer(routes=routes, middleware=[Middleware(WebGuard, settings=web)])


class _Server(uvicorn.Server):
    """uvicorn server that leaves signals to its process."""

    def capture_signals(self) -> Any:
        """Install no signal handlers."""
        return contextlib.nullcontext()
