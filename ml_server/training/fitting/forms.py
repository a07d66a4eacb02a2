"""Which form of model: tables, or deeper trees where they are better by more than noise on rows that neither was fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np

from ml_server.evaluation.paired import interval
from ml_server.features.sources import Numbers
from ml_server.model.log_odds import LogOdds
from ml_server.registry.bundle import TABLES, TREES
from ml_server.training.fitting.boosting import Boosting, Examples
from ml_server.training.fitting.rows import Rows
from ml_server.training.parameters import Parameters, Plan, deeper
from ml_server.training.progress import Progress

_ENOUGH = 200  # rows of the rarer label that a comparison needs; more folds are compared where they are rare


@dataclass(frozen=True)
class Gain:
    """How much higher the average precision of deeper trees is, with its 95 % interval."""

    difference: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        """Whether it is more than noise."""
        return self.low > 0

    def __str__(self) -> str:
        """What it means for who trains."""
        told = f"average precision {self.difference:+.4f} ({self.low:+.4f} to {self.high:+.4f})"
        if self.is_real:
            return f"deeper trees it is: better than tables by more than noise, {told} (--form tables keeps to tables)"
        return f"tables it is: deeper trees are no better by more than noise, {told}"

    def metrics(self) -> dict[str, float]:
        """For the model's page."""
        return {"trees_gain": self.difference, "trees_gain_low": self.low, "trees_gain_high": self.high}


@dataclass(frozen=True)
class Choice:
    """What the folds told: the form, how it is fitted, a booster for each fold, the rounds, scores of rows out of fold."""

    form: str
    boosting: Boosting
    boosters: Sequence[lgb.Booster]
    rounds: int
    unseen: Numbers
    gain: Gain | None = None


def choose(
    examples: Examples,
    rows: Rows,
    is_abuse: Numbers,
    log_odds: LogOdds,
    plan: Plan,
    parameters: Parameters,
    tell: Progress,
) -> Choice:
    """Fit by folds in the form that is wanted, or in both to see which is better. `is_abuse` are the table's labels."""
    flat, deep = (Boosting(len(log_odds.classes), parameters, each, tell) for each in (plan, deeper(plan)))
    if parameters.form == TREES:
        return _by_folds(TREES, deep, examples, rows)
    tables = _by_folds(TABLES, flat, examples, rows)
    if parameters.form == TABLES:
        return tables
    rarer = min(is_abuse.sum(), len(is_abuse) - is_abuse.sum())
    folds = range(min(plan.folds, int(-(-_ENOUGH * plan.folds // max(rarer, 1)))))
    tell.say(f"comparing with deeper trees on {'one fold' if len(folds) == 1 else f'{len(folds)} folds'}")
    boosters, rounds = deep.by_fold(examples, folds)
    compared = np.flatnonzero(np.isin(rows.folds[: len(is_abuse)], folds))
    scores = deep.out_of_fold(boosters, rows.codes[compared], rows.folds[compared], rounds)
    gain = Gain(
        *interval(
            [-log_odds.of_rows(scores)], [-log_odds.of_rows(tables.unseen[compared])], is_abuse[rows.whole[compared]]
        )
    )
    tell.say(str(gain))
    if not gain.is_real:
        return replace(tables, gain=gain)
    if len(folds) < plan.folds:
        boosters, rounds = deep.by_fold(examples)
    unseen = deep.out_of_fold(boosters, rows.codes, rows.folds, rounds)
    return Choice(TREES, deep, boosters, rounds, unseen, gain)


def _by_folds(form: str, boosting: Boosting, examples: Examples, rows: Rows) -> Choice:
    boosters, rounds = boosting.by_fold(examples)
    return Choice(form, boosting, boosters, rounds, boosting.out_of_fold(boosters, rows.codes, rows.folds, rounds))
