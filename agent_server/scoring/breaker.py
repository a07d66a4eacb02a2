"""A circuit breaker: after failures in a row nobody waits for the scorer any more, but for one that tries now and then.

Own code, since the kept libraries wrap calls in exceptions and storage of their own; this is a dozen lines of state. Nygard,
Release It!, 2nd edition, 2018, chapter 5.
"""

import time
from collections.abc import Callable


class Breaker:
    """Closed while calls succeed; open after `most` failures in a row; every `pause` seconds one call may try."""

    def __init__(self, most: int = 5, pause: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._pause, self._clock = most, pause, clock
        self._failures, self._next_try = 0, 0.0

    @property
    def closed(self) -> bool:
        """Whether calls are made as usual."""
        return self._failures < self._most

    def allows(self) -> bool:
        """Whether a call may be made now; an open breaker lets one through and then waits again."""
        if self.closed:
            return True
        if self._clock() < self._next_try:
            return False
        self._next_try = self._clock() + self._pause
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures = 0

    def failed(self) -> None:
        """A call was not answered."""
        self._failures += 1
        if not self.closed:
            self._next_try = self._clock() + self._pause
