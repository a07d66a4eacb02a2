"""What health calls the state of what is behind a door: starting, healthy, or what it is otherwise."""

import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

from runtime.rpc.health import failing_jobs

STARTING_SECONDS: Final = 60.0
"""After that what was never well is not starting any more."""
HEALTHY, STARTING, DEGRADED = "healthy", "starting", "degraded"
_JOBS_SECONDS = 1.0


class Condition:
    """Remembers whether all was well since this process began."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begun, self._was_well = clock, clock(), False

    def word(self, well: bool, otherwise: str) -> str:
        """`healthy` when well, `starting` until the first time that it is, for a minute at most, then `otherwise`."""
        self._was_well = self._was_well or well
        if well:
            return HEALTHY
        early = self._clock() - self._begun < STARTING_SECONDS
        return STARTING if early and not self._was_well else otherwise


async def jobs_that_fail(health: Any) -> list[str]:
    """Names of a service's background jobs that keep failing, by its health checks; none where it does not answer."""
    try:
        return failing_jobs(await health.List(health_pb2.HealthListRequest(), timeout=_JOBS_SECONDS))
    except grpc.aio.AioRpcError:
        return []
