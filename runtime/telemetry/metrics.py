"""Metrics for Prometheus, under the names of grpc-ecosystem's libraries, on one port for all worker processes.

A server of one process shows its own. Workers write theirs to files in a folder that the supervisor gives them
(PROMETHEUS_MULTIPROC_DIR, prometheus_client's own way), and the supervisor shows the sums: counts survive the worker
that made them. No label ever holds anything of an order or a caller.
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

HANDLED = Counter("grpc_server_handled", "RPCs that ended, by status code", (*_METHOD, "grpc_code"))
SECONDS = Histogram("grpc_server_handling_seconds", "Time from the request to its answer", _METHOD, buckets=BUCKETS)
IN_FLIGHT = Gauge("grpc_server_in_flight_requests", "RPCs being worked on", multiprocess_mode="livesum")
STREAMS = Gauge("grpc_server_open_streams", "Streams that are open", multiprocess_mode="livesum")
GATHERED = 64
_TRIES, _PAUSE_SECONDS = 100, 0.02


class MethodMetrics:
    """What is counted of one RPC of the contract; its labels are looked up once, for that costs more than counting.

    Successes are gathered and counted a few dozen at a time: in one go that takes a third of the time.
    """

    def __init__(self, kind: str, service: str, method: str) -> None:
        labels = (kind, service, method)
        self.seconds = SECONDS.labels(*labels)
        self._codes = {code: HANDLED.labels(*labels, _camel(code.name)) for code in grpc.StatusCode}
        self._gathered: list[float] = []

    def ended(self, code: grpc.StatusCode, seconds: float) -> None:
        """Count an RPC."""
        self._codes[code].inc()
        self.seconds.observe(seconds)

    def succeeded(self, seconds: float) -> None:
        """Count an RPC that ended well."""
        self._gathered.append(seconds)
        if len(self._gathered) >= GATHERED:
            self.flush()

    def flush(self) -> None:
        """Count what was gathered."""
        gathered, self._gathered = self._gathered, []
        self._codes[grpc.StatusCode.OK].inc(len(gathered))
        for seconds in gathered:
            self.seconds.observe(seconds)


def _camel(name: str) -> str:
    """OK, InvalidArgument: as the other libraries spell the codes."""
    return "OK" if name == "OK" else "".join(part.capitalize() for part in name.split("_"))


class _WorkersMetrics:
    """The sums over all workers. A file that a worker is only just making, or that is being removed, is read again."""

    def __init__(self, folder: str) -> None:
        self._collector = MultiProcessCollector(None, path=folder)  # type: ignore[no-untyped-call]

    def collect(self) -> Sequence[Metric]:
        """All metrics. Raises what reading raises where it goes on."""
        for _ in range(_TRIES):
            try:
                return list(self._collector.collect())  # type: ignore[no-untyped-call]
            except (OSError, struct.error, ValueError):  # gone, empty, half written
                time.sleep(_PAUSE_SECONDS)
        return list(self._collector.collect())  # type: ignore[no-untyped-call]


def exposed(folder: str | None) -> bytes:
    """What Prometheus reads, of this process or of all workers that write to `folder`."""
    return generate_latest(registry_of(folder))


def registry_of(folder: str | None) -> CollectorRegistry:
    """The metrics of this process, or those that workers write to `folder`."""
    if folder is None:
        return REGISTRY
    registry = CollectorRegistry()
    registry.register(_WorkersMetrics(folder))
    return registry
