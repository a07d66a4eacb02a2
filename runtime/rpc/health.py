"""Health checks by service name."""

from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
JOBS = "vouch.jobs."
"""Prefix of background jobs in health checks; a job is NOT_SERVING while it keeps failing."""


def failing_jobs(response: health_pb2.HealthListResponse) -> list[str]:
    """Return the names of the jobs that keep failing, from a health List response."""
    return sorted(
        name.removeprefix(JOBS)
        for name, check in response.statuses.items()
        if name.startswith(JOBS) and check.status == NOT_SERVING
    )


class BoundedHealth(health.aio.HealthServicer):  # type: ignore[misc]
    """Health checks by service name. Watch is long-lived and needs no key, so the number of watchers is limited."""

    _max_watchers = 1024

    def __init__(self) -> None:
        super().__init__()
        self._watchers = 0

    async def List(self, request: health_pb2.HealthListRequest, context: Any) -> health_pb2.HealthListResponse:
        """Return the health of every service and background job."""
        statuses = {name: health_pb2.HealthCheckResponse(status=status) for name, status in self._server_status.items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """Stream the health changes of a service until the caller disconnects."""
        if self._watchers >= self._max_watchers:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watchers; poll Check instead")
        self._watchers += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watchers -= 1
