"""A table of all HTTP listeners, with real processes: once with default deadlines, and once with short ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from testing.servers.processes import Stack, answers
from testing.waiting import free_port, wait_for

SHORT = {
    "VOUCH_WEB_HEADER_SECONDS": "0.7",
    "VOUCH_WEB_BODY_SECONDS": "0.7",
    "VOUCH_WEB_IDLE_SECONDS": "0.7",
    "VOUCH_WEB_WRITE_SECONDS": "0.7",
    "VOUCH_HTTP_BODY_SECONDS": "0.7",
    "VOUCH_EDGE_IDLE_SECONDS": "0.7",
}
_STYLE = "/console/static/console.css"


@dataclass(frozen=True)
class Listener:
    """An HTTP listener, with the paths of a plain request, of one with a body, and of one with a large answer."""

    path: str
    posts_to: str
    much: str
    kind: str = "application/json"
    body: bytes = b'{"transaction_id": "dribbled"}'


LISTENERS: Mapping[str, Listener] = {
    "rest_ml": Listener("/api/v1/health", "/api/v1/predict", "/openapi.json"),
    "rest_agent": Listener("/api/v1/health", "/api/v1/review", "/openapi.json"),
    "alone": Listener("/docs", "/api/v1/review", "/openapi.json"),
    "console": Listener(
        "/console/health", "/console/sign-in", _STYLE, "application/x-www-form-urlencoded", b"key=something"
    ),
    "metrics": Listener("/metrics", "/metrics", "/metrics"),
    "edge": Listener("/api/v1/health", "/v1/transactions:review", _STYLE),
    "edge_metrics": Listener("/ready", "/ready", "/stats/prometheus"),
}
"""All HTTP listeners; a test finds missing ones. `alone` is REST as `uvicorn http_bridge.agent:app` serves it."""
NOT_HTTP = ("ml", "agent")
"""The gRPC listeners."""


class Served:
    """`vouch serve`, REST of its own under uvicorn, and the edge: all listeners."""

    def __init__(self, folder: Path, models: Path, settings: Mapping[str, str]) -> None:
        (folder / "alone").mkdir()
        metrics, edge_metrics = free_port(), free_port()
        variables = {
            "VOUCH_ML_METRICS_LISTEN": f"127.0.0.1:{metrics}",
            "VOUCH_EDGE_ADMIN_PORT": str(edge_metrics),
            "TMPDIR": str(folder),
            **settings,
        }
        self.stack = Stack(folder, models, variables)
        self.alone = Stack(folder / "alone", models, variables)
        self.ports = self.stack.ports | {
            "metrics": metrics,
            "edge_metrics": edge_metrics,
            "alone": self.alone.ports["rest_agent"],
        }

    def start(self) -> None:
        """Start everything, and wait until each listener answers."""
        self.stack.start("one", "edge")
        self.alone.start("rest_agent")
        for name, listener in LISTENERS.items():
            wait_for(answers(f"http://127.0.0.1:{self.ports[name]}{listener.path}"), what=name)

    def close(self) -> None:
        """Stop everything."""
        self.stack.close()
        self.alone.close()

    def pids(self) -> dict[int, str]:
        """Return the processes, by command."""
        running = {process.pid: name for name, process in self.stack.running.items()}
        return running | {process.pid: "alone" for process in self.alone.running.values()}


def served(folder: Path, models: Path, settings: Mapping[str, str]) -> Iterator[Served]:
    """Run all listeners."""
    running = Served(folder, models, settings)
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture(scope="package")
def short_deadlines(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run all listeners with short deadlines."""
    yield from served(tmp_path_factory.mktemp("short"), models, SHORT)


@pytest.fixture(scope="package")
def default_deadlines(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run all listeners with default deadlines."""
    yield from served(tmp_path_factory.mktemp("usual"), models, {})
