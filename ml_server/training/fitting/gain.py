"""What deeper trees gain over tables, and what either form costs where it serves."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml_server.evaluation.paired import interval
from ml_server.features.sources import Numbers
from ml_server.model.form import Form
from ml_server.model.log_odds import LogOdds
from ml_server.training.fitting.folds import Folds

LEAST_GAIN = 0.005
"""Average precision that trees must gain at least: they take many times as long to serve."""
LEAST_FOLDS = 2
"""Folds on which they must gain it: one part of time may be unlike the times to come."""
_ORDERS, _TRIALS = 20, 3

Interval = tuple[float, float, float]
"""A difference of average precision, trees minus tables, and the two ends of its 95 % interval."""


@dataclass(frozen=True)
class Costs:
    """Microseconds of one order, its score with the contributions of all features, in either form on this machine."""

    tables: float
    trees: float

    def __str__(self) -> str:
        """Both, and how many times as long trees take."""
        return (
            f"an order takes tables {self.tables:,.0f} us and trees {self.trees:,.0f} us to score and explain, "
            f"{self.trees / self.tables:.0f} times as long"
        )


@dataclass(frozen=True)
class Gain:
    """How much higher the average precision of deeper trees is on rows that neither form was fitted on."""

    overall: Interval
    by_fold: Sequence[Interval]

    @property
    def gains_on_each_fold(self) -> bool:
        """Whether the low end exceeds LEAST_GAIN on every fold that was compared."""
        return all(low > LEAST_GAIN for _, low, _ in self.by_fold)

    @property
    def is_worth_it(self) -> bool:
        """Whether the low ends, over all compared rows and on LEAST_FOLDS folds each, exceed LEAST_GAIN."""
        folds = sum(low > LEAST_GAIN for _, low, _ in self.by_fold)
        return self.overall[1] > LEAST_GAIN and folds >= LEAST_FOLDS

    def lines(self, costs: Costs) -> list[str]:
        """The figures and what follows from them."""
        folds = "; ".join(f"fold {number} {_shown(one)}" for number, one in enumerate(self.by_fold, 1))
        rule = f"{LEAST_GAIN:g} at the low end of the interval, overall and on {LEAST_FOLDS} folds"
        chosen = (
            f"form: trees, they gain more than {rule} (--form tables keeps tables)"
            if self.is_worth_it
            else f"form: tables, trees do not gain more than {rule} (--form trees takes trees)"
        )
        return [f"trees gain average precision {_shown(self.overall)}: {folds}", str(costs), chosen]

    def metrics(self) -> dict[str, float]:
        """For the metadata of the model."""
        named = zip(("trees_gain", "trees_gain_low", "trees_gain_high"), self.overall, strict=True)
        return dict(named) | {f"trees_gain_low_{fold}": low for fold, (_, low, _) in enumerate(self.by_fold, 1)}


def gain_of(log_odds: LogOdds, trees: Numbers, tables: Numbers, is_abuse: Numbers, folds: Folds) -> Gain:
    """Compare scores of the classes, shape (rows, classes), of both forms; `is_abuse` and `folds` have shape (rows,)."""
    ours, theirs = (-log_odds.of_rows(scores) for scores in (trees, tables))

    def compare(own: np.ndarray) -> Interval:
        return interval([ours[own]], [theirs[own]], is_abuse[own])

    return Gain(compare(np.ones(len(folds), dtype=bool)), [compare(folds == fold) for fold in np.unique(folds)])


def costs_of(tables: Form, trees: Form, matrix: Numbers) -> Costs:
    """Time some rows of features, of shape (rows, features), in both forms."""
    return Costs(*(_microseconds(form, matrix[:_ORDERS]) for form in (tables, trees)))


def _microseconds(form: Form, matrix: Numbers) -> float:
    """The median order of the fastest trial: what else the machine does only adds."""
    slopes, rows = [1.0] * form.classes, matrix.tolist()
    trials = []
    for _ in range(_TRIALS):
        moments = [time.perf_counter()]
        for row in rows:
            bins = form.bins_of_one(row)
            form.scores_of_bins(bins)
            form.contributions_of_bins(bins, slopes)
            moments.append(time.perf_counter())
        trials.append(float(np.median([later - earlier for earlier, later in itertools.pairwise(moments)])))
    return min(trials) * 1e6


def _shown(one: Interval) -> str:
    return "{:+.4f} ({:+.4f} to {:+.4f})".format(*one)
