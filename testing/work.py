"""Work, counted in calls instead of seconds: the same on every machine."""

import contextlib
import contextvars
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

_SCANS: Final = frozenset(
    {"count", "index", "remove", "find", "rfind", "split", "replace", "strip", "sort", "copy", "join"}
)
"""Methods of builtin types of which one call may scan the whole object."""
_BYTES_PER_STEP: Final = 64
_measured: contextvars.ContextVar["Work | None"] = contextvars.ContextVar("measured", default=None)


@dataclass
class Work:
    """Calls of functions, in Python and in C. One that scans a list counts as many as the list is long."""

    steps: int = 0
    since_turn: int = 0
    longest_turn: int = 0
    """The most steps between two turns of the event loop."""

    def turn(self) -> None:
        """Note that the event loop ran other tasks."""
        self.longest_turn, self.since_turn = max(self.longest_turn, self.since_turn), 0


@contextlib.contextmanager
def measure_work() -> Iterator[Work]:
    """Count the steps of this task, and of tasks that it starts, in this thread."""
    work = Work()
    token = _measured.set(work)
    before = sys.getprofile()
    sys.setprofile(_count)
    try:
        yield work
    finally:
        sys.setprofile(before)
        _measured.reset(token)
        work.turn()


def _count(frame: FrameType, event: str, argument: Any) -> None:
    if event not in ("call", "c_call"):
        return
    work = _measured.get()
    if work is None:
        return
    steps = 1
    if event == "c_call" and argument.__name__ in _SCANS:
        looked_at = getattr(argument, "__self__", None)
        if isinstance(looked_at, list | tuple):
            steps += len(looked_at)
        elif isinstance(looked_at, bytes | bytearray | str):
            steps += len(looked_at) // _BYTES_PER_STEP
    work.steps += steps
    work.since_turn += steps
