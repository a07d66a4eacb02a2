"""Plots of a model: effects of features as steps, of pairs as heat maps, calibration and costs as lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from generated.vouch.v1 import scoring_service_pb2 as pb

WIDTH, HEIGHT = 240, 90
MAX_CELLS = 12
"""Maximum number of rows and columns of a heat map; finer grids are averaged."""
LEVELS = 4
"""Shades of a heat map on each side of zero."""


@dataclass(frozen=True)
class EffectPlot:
    """The effect of a feature: a path in a plot of WIDTH by HEIGHT, the line of no effect, and rows for a table."""

    feature: str
    importance: float
    path: str
    zero: float
    rows: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class HeatMap:
    """The joint effect of two features: cells (column, row, shade from -LEVELS to LEVELS, effect), and their ranges."""

    first: str
    second: str
    columns: Sequence[str]
    rows: Sequence[str]
    cells: Sequence[tuple[int, int, int, float]]
    largest: float


@dataclass(frozen=True)
class LinePlot:
    """A line through points in a plot of WIDTH by HEIGHT, and the limits of its y axis."""

    path: str
    dots: Sequence[tuple[float, float]]
    low: float
    high: float


def shape_of(one: pb.FeatureEffect) -> EffectPlot:
    """Return the plot of a feature's effect. All ranges are drawn with the same width."""
    values = [one.unknown, *one.effect]
    low, high = min(0.0, *values), max(0.0, *values)
    scale = HEIGHT / ((high - low) or 1.0)
    wide = WIDTH / len(one.effect)
    path = []
    for place, value in enumerate(one.effect):
        at = round((high - value) * scale, 1)
        path.append(f"{'M' if place == 0 else 'L'} {round(place * wide, 1)} {at} H {round((place + 1) * wide, 1)}")
    rows = [("unknown", one.unknown), *zip(ranges(one.thresholds), one.effect, strict=True)]
    return EffectPlot(one.feature, one.importance, " ".join(path), round(high * scale, 1), rows)


def heat_of(one: pb.PairEffect) -> HeatMap:
    """Return the heat map of a pair's effect; a fine grid is averaged to at most MAX_CELLS rows and columns."""
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
    return HeatMap(one.first, one.second, _joined(columns, across), _joined(rows, down), cells, largest)


def line_of(points: Sequence[tuple[float, float]], low: float, high: float) -> LinePlot:
    """Return a line through points; the plot covers x from 0 to 1 and y from `low` to `high`."""
    span = (high - low) or 1.0
    dots = [(round(x * WIDTH, 1), round((high - y) / span * HEIGHT, 1)) for x, y in points]
    path = " ".join(f"{'M' if place == 0 else 'L'} {x} {y}" for place, (x, y) in enumerate(dots))
    return LinePlot(path, dots, low, high)


def ranges(thresholds: Sequence[float]) -> list[str]:
    """Return labels of the ranges between thresholds."""
    if not thresholds:
        return ["any value"]
    labels = [f"{value:.6g}" for value in thresholds]
    between = [f"{low} to {high}" for low, high in pairwise(labels)]
    return [f"up to {labels[0]}", *between, f"above {labels[-1]}"]


def _merged(count: int) -> list[range]:
    """Split `count` neighbours into at most MAX_CELLS runs."""
    cells = min(count, MAX_CELLS)
    ends = [round(place * count / cells) for place in range(cells + 1)]
    return [range(low, high) for low, high in pairwise(ends)]


def _mean(grid: Sequence[Sequence[float]], rows: range, columns: range) -> float:
    values = [grid[row][column] for row in rows for column in columns]
    return sum(values) / len(values)


def _joined(names: Sequence[str], runs: Sequence[range]) -> list[str]:
    return [names[run[0]] if len(run) == 1 else f"{names[run[0]]} … {names[run[-1]]}" for run in runs]
