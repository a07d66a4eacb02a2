"""Plan of a file: the rows of each pattern, and their distribution over chunks of time."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.abuse_types import ALL_TYPES
from data_gen.language.pattern import Pattern
from data_gen.language.timeline import HOUR, Timeline

CHUNK_ROWS = 65_536
DAYS = 90
END = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)


class PlanError(ValueError):
    """Arguments for which no file can be generated."""


def largest_remainder(total: int, shares: Sequence[float]) -> list[int]:
    """Return whole parts of `total` nearest to the shares, which sum to 1; ties go to the earlier one."""
    exact = [total * share for share in shares]
    parts = [int(part + 1e-9) for part in exact]
    order = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


def pattern_counts(size: int, ratios: Mapping[str, float], patterns: Sequence[Pattern]) -> list[int]:
    """Return the rows of each pattern: abuse types exactly by `ratios`, patterns within a type by their shares."""
    if size < 1:
        raise PlanError(f"size must be at least 1, not {size}")
    for abuse_type, ratio in ratios.items():
        if not 0 <= ratio <= 1:
            raise PlanError(f"ratio of {abuse_type} must be in 0..1, not {ratio:g}")
    if abs(sum(ratios.values()) - 1) > 1e-6:
        raise PlanError(f"ratios must sum to 1, these sum to {sum(ratios.values()):g}")
    counts = [0] * len(patterns)
    for abuse_type, rows in zip(
        ALL_TYPES, largest_remainder(size, [ratios[abuse_type] for abuse_type in ALL_TYPES]), strict=True
    ):
        members = [index for index, pattern in enumerate(patterns) if pattern.abuse_type == abuse_type]
        if rows and not members:
            raise PlanError(f"no pattern has abuse type {abuse_type}")
        total = sum(patterns[index].share for index in members)
        for index, part in zip(
            members, largest_remainder(rows, [patterns[i].share / total for i in members]), strict=True
        ):
            counts[index] = part
    return counts


@dataclass(frozen=True)
class Chunk:
    """A time slice, with the number of rows of each pattern in it."""

    index: int
    first_row: int
    start: int
    end: int
    counts: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Rows of the chunk."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class Plan:
    """A whole file: time span in seconds since 1970, rows by pattern, and the chunks in order of time."""

    start: int
    end: int
    counts: tuple[int, ...]
    chunks: tuple[Chunk, ...]

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(self.counts)


def make_plan(
    size: int, ratios: Mapping[str, float], patterns: Sequence[Pattern], end: dt.datetime = END, days: int = DAYS
) -> Plan:
    """Plan a file. Chunks have about CHUNK_ROWS rows each; their boundaries depend only on the arguments."""
    counts = pattern_counts(size, ratios, patterns)
    if days < 1:
        raise PlanError(f"days must be at least 1, not {days}")
    last = int(end.timestamp())
    first = last - days * 24 * HOUR
    if first < 0:
        raise PlanError(f"{days} days before {end:%Y-%m-%d} is before 1970")
    timelines = [Timeline(pattern.week, first, last) for pattern in patterns]
    # Expected rows before each hour, then the second in which each chunk is full.
    hours = np.arange(first, last + 1, HOUR, dtype=np.int64)
    expected = np.zeros(len(hours))
    for rows, timeline in zip(counts, timelines, strict=True):
        expected += rows * (timeline.weights_before(hours) / timeline.total)
    number = -(-size // CHUNK_ROWS)
    full = np.floor(np.interp(np.arange(1, number) * (size / number), expected, hours)).astype(np.int64)
    limits = [first, *(int(limit) for limit in full), last]
    before = np.array(
        [
            [rows * t.weight_before(limit) // t.total for limit in limits]
            for rows, t in zip(counts, timelines, strict=True)
        ]
    )
    by_chunk = np.diff(before, axis=1)
    first_rows = np.concatenate([[0], np.cumsum(by_chunk.sum(axis=0))])
    chunks = tuple(
        Chunk(index, int(first_rows[index]), limits[index], limits[index + 1], by_chunk[:, index])
        for index in range(number)
    )
    return Plan(first, last, tuple(counts), chunks)
