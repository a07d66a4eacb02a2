"""How far training is: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from runtime.process.terminal import plain

_EVERY_SECONDS = 10.0


class Progress(Protocol):
    """Told what training does."""

    def say(self, line: str) -> None:
        """A step begins, or something was noticed."""

    def round(self, number: int, most: int, loss: float | None) -> None:
        """So many rounds of at most so many are fitted; `loss` on rows that are not fitted on, where there are such."""


class Silent:
    """Tells nobody."""

    def say(self, line: str) -> None:
        """See Progress."""

    def round(self, number: int, most: int, loss: float | None) -> None:
        """See Progress."""


class Lines:
    """A line for each step, and one every ten seconds while rounds are fitted."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def say(self, line: str) -> None:
        """See Progress."""
        print(plain(line), flush=True)

    def round(self, number: int, most: int, loss: float | None) -> None:
        """See Progress."""
        if time.monotonic() - self._told >= _EVERY_SECONDS:
            self._told = time.monotonic()
            print(_shown(number, most, loss), flush=True)


class Bar(Lines):
    """A line for each step, and one line that moves while rounds are fitted."""

    def __init__(self) -> None:
        super().__init__()
        self._moving = False

    def say(self, line: str) -> None:
        """See Progress."""
        self.clear()
        super().say(line)

    def round(self, number: int, most: int, loss: float | None) -> None:
        """See Progress."""
        if time.monotonic() - self._told >= 0.1:
            self._told, self._moving = time.monotonic(), True
            sys.stderr.write(f"\r{_shown(number, most, loss)}\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the moving line away."""
        if self._moving:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._moving = False


def _shown(number: int, most: int, loss: float | None) -> str:
    return (
        f"round {number:,} of {most:,}"
        if loss is None
        else f"round {number:,} of at most {most:,}, log-loss {loss:.5f}"
    )


@contextlib.contextmanager
def telling() -> Iterator[Progress]:
    """What fits where the command runs."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    bar = Bar()
    try:
        yield bar
    finally:
        bar.clear()
