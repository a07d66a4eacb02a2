"""A circuit breaker: after consecutive failures, calls fail at once, except for one trial call at intervals.

Not a library, because the maintained ones bring their own exceptions and storage; this is a dozen lines of state.
Nygard, Release It!, 2nd edition, 2018, chapter 5.
"""

import time
from collections.abc import Callable


class CircuitBreaker:
    """Closed while calls succeed. Opens after `max_failures` failures; then allows one per `retry_seconds`."""

    def __init__(
        self, max_failures: int = 5, retry_seconds: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_failures, self._retry_seconds, self._clock = max_failures, retry_seconds, clock
        self._failures, self._next_try = 0, 0.0

    @property
    def closed(self) -> bool:
        """Whether all calls are allowed."""
        return self._failures < self._max_failures

    def allow_call(self) -> bool:
        """Return whether a call may be made now. An open breaker allows one call, then waits again."""
        if self.closed:
            return True
        if self._clock() < self._next_try:
            return False
        self._next_try = self._clock() + self._retry_seconds
        return True

    def record_success(self) -> None:
        """Record that a call was answered: close the breaker."""
        self._failures = 0

    def record_failure(self) -> None:
        """Record that a call was not answered."""
        self._failures += 1
        if not self.closed:
            self._next_try = self._clock() + self._retry_seconds
