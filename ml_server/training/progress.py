"""Progress of training: a bar with an estimate on a terminal, occasional lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from runtime.process.terminal import escape_unprintable

_FIRST_SECONDS: Final = 2.0
_EVERY_SECONDS: Final = 10.0


class Progress(Protocol):
    """Receives the progress of training."""

    def report(self, line: str) -> None:
        """Report a new step, or a finding."""

    def report_round(self, number: int, likely: int, loss: float | None) -> None:
        """Report that round `number` of about `likely` is fitted, with its validation `loss`, if any."""


class NoProgress:
    """Ignores progress."""

    def report(self, line: str) -> None:
        """See Progress."""

    def report_round(self, number: int, likely: int, loss: float | None) -> None:
        """See Progress."""


class LineProgress:
    """A line for each step, and occasional lines during fitting."""

    def __init__(self) -> None:
        self._begun = self._next = time.monotonic()

    def report(self, line: str) -> None:
        """See Progress."""
        print(escape_unprintable(line), flush=True)
        self._begun = time.monotonic()
        self._next = self._begun + _FIRST_SECONDS

    def report_round(self, number: int, likely: int, loss: float | None) -> None:
        """See Progress."""
        now = time.monotonic()
        if now < self._next or number >= likely:
            return
        self._next = now + _EVERY_SECONDS
        left = _seconds_left(self._begun, number, likely)
        of_loss = "" if loss is None else f", log-loss {loss:.5f}"
        print(f"  round {number:,} of about {likely:,}{of_loss}, about {left:.0f} s left", flush=True)


class BarProgress:
    """A line for each step, and a bar during fitting."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._begun = 0.0

    def report(self, line: str) -> None:
        """See Progress."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
        self._bars.console.print(escape_unprintable(line), markup=False, highlight=False)

    def report_round(self, number: int, likely: int, loss: float | None) -> None:
        """See Progress."""
        if self._task is None:
            self._begun = time.monotonic()
            self._task = self._bars.add_task("rounds", total=likely, left="")
            return  # the duration of one round is not a good estimate
        description = "rounds" if loss is None else f"rounds, log-loss {loss:.5f}"
        left = f"about {_seconds_left(self._begun, number - 1, likely - 1):.0f} s left"
        self._bars.update(self._task, completed=number, total=likely, description=description, left=left)


def _seconds_left(begun: float, done: int, of: int) -> float:
    """Return the estimated remaining seconds, at the speed since `begun`, a time of the monotonic clock."""
    return (time.monotonic() - begun) / max(done, 1) * (of - done)


@contextlib.contextmanager
def progress_reporter() -> Iterator[Progress]:
    """Yield the progress for this process's terminal, or for none."""
    if not sys.stderr.isatty():
        yield LineProgress()
        return
    columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield BarProgress(bars)
