"""Prometheus metrics with the names of the grpc-ecosystem libraries, on one port for all worker processes.

A single process exposes its own metrics. Workers write theirs to files in PROMETHEUS_MULTIPROC_DIR, as
prometheus_client prescribes, and the supervisor exposes the sums, so that counts outlive a worker. Labels never contain
data of an order or a caller.
"""

import struct
import time
from collections.abc import Sequence

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

_METHOD = ("grpc_type", "grpc_service", "grpc_method")
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HANDLED = Counter("grpc_server_handled", "Completed RPCs by status code", (*_METHOD, "grpc_code"))
SECONDS = Histogram("grpc_server_handling_seconds", "Time from request to response", _METHOD, buckets=BUCKETS)
IN_FLIGHT = Gauge("grpc_server_in_flight_requests", "RPCs in progress", multiprocess_mode="livesum")
STREAMS = Gauge("grpc_server_open_streams", "Open streams", multiprocess_mode="livesum")
FLUSH_COUNT = 64
_TRIES, _PAUSE_SECONDS = 100, 0.02


class MethodMetrics:
    """Metrics of one RPC. Labels are resolved once, since that costs more than counting.

    Successes are collected and counted in groups, which takes a third of the time.
    """

    def __init__(self, kind: str, service: str, method: str) -> None:
        labels = (kind, service, method)
        self.seconds = SECONDS.labels(*labels)
        self._codes = {code: HANDLED.labels(*labels, _code_label(code.name)) for code in grpc.StatusCode}
        self._pending: list[float] = []

    def record(self, code: grpc.StatusCode, seconds: float) -> None:
        """Record a completed RPC."""
        self._codes[code].inc()
        self.seconds.observe(seconds)

    def record_success(self, seconds: float) -> None:
        """Record a successful RPC."""
        self._pending.append(seconds)
        if len(self._pending) >= FLUSH_COUNT:
            self.flush()

    def flush(self) -> None:
        """Count the collected successes."""
        pending, self._pending = self._pending, []
        self._codes[grpc.StatusCode.OK].inc(len(pending))
        for seconds in pending:
            self.seconds.observe(seconds)


def _code_label(name: str) -> str:
    """Return a status code as the other libraries write it: OK, InvalidArgument."""
    return "OK" if name == "OK" else "".join(part.capitalize() for part in name.split("_"))


class _WorkersMetrics:
    """Collector of the sums over all workers. Retries if a file is being created or removed."""

    def __init__(self, folder: str) -> None:
        self._collector = MultiProcessCollector(None, path=folder)  # type: ignore[no-untyped-call]

    def collect(self) -> Sequence[Metric]:
        """Return all metrics. Raise the error of the last attempt."""
        for _ in range(_TRIES):
            try:
                return list(self._collector.collect())  # type: ignore[no-untyped-call]
            except (OSError, struct.error, ValueError):  # removed, empty or partly written
                time.sleep(_PAUSE_SECONDS)
        return list(self._collector.collect())  # type: ignore[no-untyped-call]


def render_metrics(folder: str | None) -> bytes:
    """Return the metrics page of this process, or of all workers that write to `folder`."""
    return generate_latest(registry_of(folder))


def registry_of(folder: str | None) -> CollectorRegistry:
    """Return the registry of this process, or of the workers that write to `folder`."""
    if folder is None:
        return REGISTRY
    registry = CollectorRegistry()
    registry.register(_WorkersMetrics(folder))
    return registry
