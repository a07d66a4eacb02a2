"""Status labels of the health endpoints: starting, healthy, or the endpoint's label for unhealthy."""

import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

from runtime.rpc.health import failing_jobs

STARTING_SECONDS: Final = 60.0
"""After this time a service that was never healthy no longer counts as starting."""
HEALTHY, STARTING, DEGRADED, UNHEALTHY = "healthy", "starting", "degraded", "unhealthy"
_JOBS_SECONDS = 1.0


class HealthState:
    """Whether the service was healthy since this process started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._started, self._was_healthy = clock, clock(), False

    def label(self, is_healthy: bool, unhealthy: str) -> str:
        """Return `healthy`, `starting` (before the first healthy check, at most STARTING_SECONDS) or `unhealthy`."""
        self._was_healthy = self._was_healthy or is_healthy
        if is_healthy:
            return HEALTHY
        early = self._clock() - self._started < STARTING_SECONDS
        return STARTING if early and not self._was_healthy else unhealthy


async def is_serving(health: Any, service: str, timeout_seconds: float) -> bool:
    """Return whether a service's health check reports that it is serving."""
    try:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_seconds)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def fetch_failing_jobs(health: Any) -> list[str]:
    """Return the names of a service's background jobs that keep failing; an empty list if it does not answer."""
    try:
        return failing_jobs(await health.List(health_pb2.HealthListRequest(), timeout=_JOBS_SECONDS))
    except grpc.aio.AioRpcError:
        return []
