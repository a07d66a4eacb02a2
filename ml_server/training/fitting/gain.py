"""Gain of deeper trees over tables, and the serving costs of both."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml_server.evaluation.paired import interval
from ml_server.features.sources import Numbers
from ml_server.model.form import Form
from ml_server.model.log_odds import LogOdds
from ml_server.training.fitting.folds import Folds

MIN_FOLDS = 2
"""Minimum number of folds with that gain: a single part of time may be unusual."""
_ORDERS, _TRIALS = 20, 3

Interval = tuple[float, float, float]
"""A difference of average precision, trees minus tables, and the bounds of its 95 % interval."""


@dataclass(frozen=True)
class Costs:
    """Microseconds to score an order and compute all contributions, in either form on this machine."""

    tables: float
    trees: float

    def __str__(self) -> str:
        """Return both, and their ratio."""
        return (
            f"an order takes tables {self.tables:,.0f} us and trees {self.trees:,.0f} us to score and explain, "
            f"{self.trees / self.tables:.1f} times as long"
        )


def margin_of(rarer: int) -> float:
    """Return the minimum gain of trees in average precision for a number of rows of the rarer label.

    Both forms are served about as fast, so trees only have to be better by more than chance. The interval contains the
    chance of rows, not that of the seed, which alone made a model of the same form "certainly" better by 0.0036 on real
    orders with 400 frauds (docs/explanation/scoring.md). It falls with the square root of their number.
    """
    return 0.1 / math.sqrt(max(rarer, 1))


@dataclass(frozen=True)
class Gain:
    """Difference of average precision between deeper trees and tables on out-of-fold rows; `margin` is the minimum."""

    overall: Interval
    by_fold: Sequence[Interval]
    margin: float

    @property
    def gains_on_each_fold(self) -> bool:
        """Whether the lower bound exceeds the margin on every compared fold."""
        return all(low > self.margin for _, low, _ in self.by_fold)

    @property
    def is_worth_it(self) -> bool:
        """Whether the lower bound exceeds the margin over all compared rows and on MIN_FOLDS folds."""
        folds = sum(low > self.margin for _, low, _ in self.by_fold)
        return self.overall[1] > self.margin and folds >= MIN_FOLDS

    def lines(self, costs: Costs) -> list[str]:
        """Return the results and the decision as lines of text."""
        folds = "; ".join(f"fold {number} {_format(one)}" for number, one in enumerate(self.by_fold, 1))
        rule = f"{self.margin:.1g} at the lower bound of the interval, overall and on {MIN_FOLDS} folds"
        chosen = (
            f"form: trees, since they gain more than {rule} (--form tables selects tables)"
            if self.is_worth_it
            else f"form: tables, since trees do not gain more than {rule} (--form trees selects trees)"
        )
        return [f"trees gain average precision {_format(self.overall)}: {folds}", str(costs), chosen]

    def metrics(self) -> dict[str, float]:
        """Return the values for the model's metadata."""
        named = zip(("trees_gain", "trees_gain_low", "trees_gain_high"), self.overall, strict=True)
        return dict(named) | {f"trees_gain_low_{fold}": low for fold, (_, low, _) in enumerate(self.by_fold, 1)}


def gain_of(log_odds: LogOdds, trees: Numbers, tables: Numbers, is_abuse: Numbers, folds: Folds, margin: float) -> Gain:
    """Compare class scores of both forms, shape (rows, classes); `is_abuse` and `folds` have shape (rows,)."""
    ours, theirs = (-log_odds.of_rows(scores) for scores in (trees, tables))

    def compare(own: np.ndarray) -> Interval:
        return interval([ours[own]], [theirs[own]], is_abuse[own])

    return Gain(compare(np.ones(len(folds), dtype=bool)), [compare(folds == fold) for fold in np.unique(folds)], margin)


def costs_of(tables: Form, trees: Form, matrix: Numbers) -> Costs:
    """Measure the time of some rows of features, of shape (rows, features), in both forms."""
    return Costs(*(_microseconds(form, matrix[:_ORDERS]) for form in (tables, trees)))


def _microseconds(form: Form, matrix: Numbers) -> float:
    """Return the median time of an order in the fastest trial: other load can only add time."""
    slopes, rows = [1.0] * form.classes, matrix.tolist()
    trials = []
    for _ in range(_TRIALS):
        moments = [time.perf_counter()]
        for row in rows:
            numbers = form.groups_of_row(row)
            form.scores_of_groups(numbers)
            form.contributions_of_groups(numbers, slopes)
            moments.append(time.perf_counter())
        trials.append(float(np.median([later - earlier for earlier, later in itertools.pairwise(moments)])))
    return min(trials) * 1e6


def _format(one: Interval) -> str:
    return "{:+.4f} ({:+.4f} to {:+.4f})".format(*one)
