"""Choice of the model's form: tables, or deeper trees if they gain enough on out-of-fold rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np

from ml_server.features.sources import Numbers
from ml_server.model.log_odds import LogOdds
from ml_server.registry.bundle import TABLES, TREES
from ml_server.training.fitting.boosting import Boosting, Examples
from ml_server.training.fitting.gain import MIN_FOLDS, Costs, Gain, gain_of, margin_of
from ml_server.training.fitting.rows import Rows
from ml_server.training.parameters import Parameters, Plan, deeper_plan
from ml_server.training.progress import Progress

_ENOUGH = 200  # rows of the rarer label that a comparison needs; if they are rare, more folds are compared


@dataclass(frozen=True)
class Choice:
    """Result of the folds: the form, how it is fitted, a booster for each fold, the rounds, out-of-fold scores."""

    form: str
    boosting: Boosting
    boosters: Sequence[lgb.Booster]
    rounds: int
    unseen: Numbers
    gain: Gain | None = None


MeasureCosts = Callable[[Choice, Choice], Costs]
"""Measures the costs of serving, given tables and trees."""


def choose(
    examples: Examples,
    rows: Rows,
    is_abuse: Numbers,
    log_odds: LogOdds,
    plan: Plan,
    parameters: Parameters,
    progress: Progress,
    measure: MeasureCosts,
) -> Choice:
    """Fit by folds in the requested form, or in both to find the better one. `is_abuse` are the table's labels."""
    flat, deep = (
        Boosting(len(log_odds.classes), parameters, each, progress) for each in (plan, deeper_plan(plan, parameters))
    )
    if parameters.form == TREES:
        return _by_folds(TREES, deep, examples, rows)
    tables = _by_folds(TABLES, flat, examples, rows)
    if parameters.form == TABLES:
        return tables
    rarer = int(min(is_abuse.sum(), len(is_abuse) - is_abuse.sum()))
    needed = max(MIN_FOLDS, int(-(-_ENOUGH * plan.folds // max(rarer, 1))))
    folds = range(min(plan.folds, needed))

    def compare(some: range) -> tuple[Sequence[lgb.Booster], int, Gain]:
        progress.report(f"comparing with deeper trees on {len(some)} fold{'' if len(some) == 1 else 's'}")
        boosters, rounds = deep.fit_by_fold(examples, some)
        compared = np.flatnonzero(np.isin(rows.folds[: len(is_abuse)], some))
        scores = deep.out_of_fold(boosters, rows.codes[compared], rows.folds[compared], rounds)
        labels = is_abuse[rows.whole[compared]]
        gain = gain_of(log_odds, scores, tables.unseen[compared], labels, rows.folds[compared], margin_of(rarer))
        for line in gain.lines(measure(tables, Choice(TREES, deep, boosters, rounds, scores))):
            progress.report(line)
        return boosters, rounds, gain

    if len(folds) == MIN_FOLDS:  # trees have to gain on each fold: without a gain on the first, skip the others
        *_, gain = compare(folds[:1])
        if not gain.gains_on_each_fold:
            return replace(tables, gain=gain)
    boosters, rounds, gain = compare(folds)
    if not gain.is_worth_it:
        return replace(tables, gain=gain)
    if len(folds) < plan.folds:
        boosters, rounds = deep.fit_by_fold(examples)
    unseen = deep.out_of_fold(boosters, rows.codes, rows.folds, rounds)
    return Choice(TREES, deep, boosters, rounds, unseen, gain)


def _by_folds(form: str, boosting: Boosting, examples: Examples, rows: Rows) -> Choice:
    boosters, rounds = boosting.fit_by_fold(examples)
    return Choice(form, boosting, boosters, rounds, boosting.out_of_fold(boosters, rows.codes, rows.folds, rounds))
