"""What a model has learned, as plots: effects as steps, pairs as heat maps, calibration and costs as lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from generated.vouch.v1 import scoring_service_pb2 as pb

WIDTH, HEIGHT = 240, 90
MOST_CELLS = 12
"""Rows and columns of a heat map; finer ones are averaged."""
LEVELS = 4
"""Shades of a heat map to each side of nothing."""


@dataclass(frozen=True)
class Shape:
    """The effect of a feature: a path in a plot of WIDTH by HEIGHT, the line of no effect, and rows for a table."""

    feature: str
    importance: float
    path: str
    zero: float
    rows: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Heat:
    """The joint effect of two features: cells (column, row, shade between -LEVELS and LEVELS, effect), and the ranges."""

    first: str
    second: str
    columns: Sequence[str]
    rows: Sequence[str]
    cells: Sequence[tuple[int, int, int, float]]
    largest: float


@dataclass(frozen=True)
class Line:
    """A line through points in a plot of WIDTH by HEIGHT, and what the axes end with."""

    path: str
    dots: Sequence[tuple[float, float]]
    low: float
    high: float


def shape_of(one: pb.FeatureEffect) -> Shape:
    """Each range is as wide as the others: where a feature changes much, there are many."""
    values = [one.unknown, *one.effect]
    low, high = min(0.0, *values), max(0.0, *values)
    scale = HEIGHT / ((high - low) or 1.0)
    wide = WIDTH / len(one.effect)
    path = []
    for place, value in enumerate(one.effect):
        at = round((high - value) * scale, 1)
        path.append(f"{'M' if place == 0 else 'L'} {round(place * wide, 1)} {at} H {round((place + 1) * wide, 1)}")
    rows = [("unknown", one.unknown), *zip(ranges(one.thresholds), one.effect, strict=True)]
    return Shape(one.feature, one.importance, " ".join(path), round(high * scale, 1), rows)


def heat_of(one: pb.PairEffect) -> Heat:
    """The grid of a pair, coarser where it is fine."""
    rows, columns = ranges(one.first_thresholds), ranges(one.second_thresholds)
    grid = [list(one.effect[row * len(columns) : (row + 1) * len(columns)]) for row in range(len(rows))]
    down, across = _merged(len(rows)), _merged(len(columns))
    coarse = [[_mean(grid, those, these) for these in across] for those in down]
    largest = max((abs(value) for line in coarse for value in line), default=0.0) or 1.0
    cells = [
        (column, row, round(value / largest * LEVELS), value)
        for row, line in enumerate(coarse)
        for column, value in enumerate(line)
    ]
    return Heat(one.first, one.second, _joined(columns, across), _joined(rows, down), cells, largest)


def line_of(points: Sequence[tuple[float, float]], low: float, high: float) -> Line:
    """Points whose x and y are drawn from x 0 to 1, and y from `low` to `high`."""
    span = (high - low) or 1.0
    dots = [(round(x * WIDTH, 1), round((high - y) / span * HEIGHT, 1)) for x, y in points]
    path = " ".join(f"{'M' if place == 0 else 'L'} {x} {y}" for place, (x, y) in enumerate(dots))
    return Line(path, dots, low, high)


def ranges(thresholds: Sequence[float]) -> list[str]:
    """The ranges between thresholds, in words."""
    if not thresholds:
        return ["any value"]
    told = [f"{value:.6g}" for value in thresholds]
    between = [f"{low} to {high}" for low, high in pairwise(told)]
    return [f"up to {told[0]}", *between, f"above {told[-1]}"]


def _merged(count: int) -> list[range]:
    """So many neighbours in at most MOST_CELLS runs."""
    cells = min(count, MOST_CELLS)
    ends = [round(place * count / cells) for place in range(cells + 1)]
    return [range(low, high) for low, high in pairwise(ends)]


def _mean(grid: Sequence[Sequence[float]], rows: range, columns: range) -> float:
    values = [grid[row][column] for row in rows for column in columns]
    return sum(values) / len(values)


def _joined(names: Sequence[str], runs: Sequence[range]) -> list[str]:
    return [names[run[0]] if len(run) == 1 else f"{names[run[0]]} … {names[run[-1]]}" for run in runs]
