"""Progress display: a line per request at low rates, a live table at high rates."""

import time
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from load_test.outcomes import DECISIONS, Outcome, Tally
from runtime.process.terminal import escape_unprintable

LINES_UP_TO = 20.0  # requests per second that are still readable


class Display(Protocol):
    """A display of outcomes."""

    def show(self, outcome: Outcome, tally: Tally) -> None:
        """Show an outcome that `tally` already contains."""

    def close(self) -> None:
        """Close the display."""


class Lines:
    """Display with a line per request."""

    def show(self, outcome: Outcome, tally: Tally) -> None:
        """See Display."""
        truth = "abuse" if outcome.is_abuse else "legitimate"
        result = outcome.error or f"{outcome.decision:8} score {outcome.score:.3f}"
        print(
            escape_unprintable(
                f"{tally.sent:6} {outcome.transaction_id:20} {truth:10} -> {result} {outcome.seconds * 1000:8.1f} ms"
            ),
            flush=True,
        )

    def close(self) -> None:
        """See Display."""


class LiveTable:
    """Display with a table refreshed four times per second, or with a line per second without a terminal."""

    def __init__(self) -> None:
        self._console = Console()
        self._live = (
            Live(console=self._console, refresh_per_second=4, transient=True) if self._console.is_terminal else None
        )
        self._last_shown = time.monotonic()
        if self._live:
            self._live.start()

    def show(self, outcome: Outcome, tally: Tally) -> None:
        """See Display."""
        now = time.monotonic()
        if self._live:
            if now - self._last_shown > 0.25:
                self._last_shown = now
                self._live.update(_table(tally))
        elif now - self._last_shown > 1:
            self._last_shown = now
            counts = ", ".join(f"{name} {tally.decided(decision=name):,}" for name in DECISIONS)
            print(f"sent {tally.sent:,}: {counts}, failed {sum(tally.errors.values()):,}", flush=True)

    def close(self) -> None:
        """See Display."""
        if self._live:
            self._live.stop()


def _table(tally: Tally) -> Table:
    table = Table("", *DECISIONS, "failed", "p50 ms", "p99 ms")
    for name, abuse in (("legitimate", False), ("abuse", True)):
        table.add_row(name, *(f"{tally.decided(abuse, decision):,}" for decision in DECISIONS))
    latency = (f"{tally.percentile(share) * 1000:.1f}" for share in (0.5, 0.99))
    table.add_row(
        "all", *(f"{tally.decided(decision=d):,}" for d in DECISIONS), f"{sum(tally.errors.values()):,}", *latency
    )
    return table


def display_for(rate: float) -> Display:
    """Return the display for a rate."""
    return Lines() if rate <= LINES_UP_TO else LiveTable()
