"""Health checks by service name."""

from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
JOBS = "vouch.jobs."
"""Before the name of a background job: health checks know each, NOT_SERVING while it keeps failing."""


def failing_jobs(answer: health_pb2.HealthListResponse) -> list[str]:
    """Names of the jobs that keep failing, of a server's List of its health."""
    return sorted(
        name.removeprefix(JOBS)
        for name, one in answer.statuses.items()
        if name.startswith(JOBS) and one.status == NOT_SERVING
    )


class BoundedHealth(health.aio.HealthServicer):  # type: ignore[misc]
    """Health checks by service name. Watching waits and needs no key, so there are places for so many and no more."""

    _most_watching = 1024

    def __init__(self) -> None:
        super().__init__()
        self._watching = 0

    async def List(self, request: health_pb2.HealthListRequest, context: Any) -> health_pb2.HealthListResponse:
        """Tell the health of every service and background job."""
        statuses = {name: health_pb2.HealthCheckResponse(status=status) for name, status in self._server_status.items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """Tell each change of a service's health, until the caller leaves."""
        if self._watching >= self._most_watching:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watch: check now and then instead")
        self._watching += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watching -= 1
