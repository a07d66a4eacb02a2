"""What health calls the state of what is behind a door: starting, healthy, or what it is otherwise."""

import time
from collections.abc import Callable
from typing import Final

STARTING_SECONDS: Final = 60.0
"""After that what was never well is not starting any more."""
HEALTHY, STARTING = "healthy", "starting"


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
