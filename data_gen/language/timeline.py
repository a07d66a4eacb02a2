"""Arrival times of orders: the weekly profile of each pattern, and the time slices of chunks.

All arithmetic is on whole numbers: seconds since 1970 and whole weights for each hour of the week.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HOUR, WEEK_HOURS = 3600, 168
# 1970-01-01 was a Thursday: hour 0 of our week is Monday, 00:00 UTC.
EPOCH_HOUR_OF_WEEK = 3 * 24

Seconds = NDArray[np.int64]


@dataclass(frozen=True)
class Week:
    """Frequency of orders by hour: the product of weights by hour of the day and by day of the week, from Monday."""

    hours: Sequence[int]
    days: Sequence[int]
    weights: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.hours) != 24 or len(self.days) != 7:
            raise ValueError("a week needs 24 weights by hour and 7 by day")
        weights = np.outer(self.days, self.hours).astype(np.int64).ravel()
        if weights.min() <= 0:
            raise ValueError("weights of a week must be whole numbers above 0")
        object.__setattr__(self, "weights", weights)


def hour_of_week(times: Seconds) -> NDArray[np.int64]:
    """Return the hour of the week, 0 (Monday 00:00 UTC) to 167, of seconds since 1970."""
    return (times // HOUR + EPOCH_HOUR_OF_WEEK) % WEEK_HOURS


class Timeline:
    """Cumulative weight of a pattern's week over the time span [start, end)."""

    def __init__(self, week: Week, start: int, end: int) -> None:
        self.start, self.end = start, end
        first, last = start // HOUR, -(-end // HOUR)
        edges = np.arange(first, last + 1, dtype=np.int64) * HOUR
        edges[0], edges[-1] = start, end
        self.edges = edges
        self.weights = week.weights[hour_of_week(edges[:-1])]
        self.cumulative = np.concatenate([[0], np.cumsum(self.weights * np.diff(edges))])

    @property
    def total(self) -> int:
        """Weight of the whole span."""
        return int(self.cumulative[-1])

    def weight_before(self, time: int) -> int:
        """Return the weight of [start, time)."""
        return int(self.weights_before(np.array([time], dtype=np.int64))[0])

    def weights_before(self, times: Seconds) -> NDArray[np.int64]:
        """Return the weight of [start, time) for each time."""
        hour = np.minimum(np.searchsorted(self.edges, times, side="right") - 1, len(self.weights) - 1)
        result: NDArray[np.int64] = self.cumulative[hour] + self.weights[hour] * (times - self.edges[hour])
        return result

    def times_at(self, weights: NDArray[np.int64]) -> Seconds:
        """Return the second in which the cumulative weight reaches each weight, 0 <= weight < total."""
        hour = np.searchsorted(self.cumulative, weights, side="right") - 1
        result: Seconds = self.edges[hour] + (weights - self.cumulative[hour]) // self.weights[hour]
        return result
