"""Decisions over time, in bars that start at whole hours of UTC."""

from collections.abc import Iterable
from dataclasses import dataclass, field

BAR_SECONDS = {24: 3600, 168: 6 * 3600}
"""Length of a bar, by the period of the page in hours."""
DECISIONS = ("approve", "review", "deny")


@dataclass
class HourBar:
    """Decisions from `begin` (seconds since 1970, a whole hour) to the next bar."""

    begin: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DECISIONS, 0))

    @property
    def total(self) -> int:
        """Return the number of all decisions of the bar."""
        return sum(self.counts.values())


def first_begin(now: float, hours: int) -> int:
    """Return the start of the first bar: the last one contains `now`, and all together are `hours` long."""
    length = BAR_SECONDS[hours]
    return int(now // length + 1) * length - hours * 3600


def bars_of(decisions: Iterable[tuple[float, str]], now: float, hours: int) -> list[HourBar]:
    """Return the bars of the last `hours`. Decisions outside of them, or not in DECISIONS, are ignored.

    Args:
        decisions: pairs of time (seconds since 1970) and decision.
        now: seconds since 1970; the last bar contains it.
        hours: a key of BAR_SECONDS.

    """
    length, begin = BAR_SECONDS[hours], first_begin(now, hours)
    bars = [HourBar(begin + place * length) for place in range(hours * 3600 // length)]
    for at, name in decisions:
        place = int((at - begin) // length)
        if 0 <= place < len(bars) and name in bars[place].counts:
            bars[place].counts[name] += 1
    return bars
