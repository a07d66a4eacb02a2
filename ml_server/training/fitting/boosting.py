"""Boosting of trees: the number of rounds is chosen by folds of time, then bags of models are fitted on all rows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from ml_server.features.sources import Numbers
from ml_server.training.fitting.folds import Folds, typical_loss
from ml_server.training.fitting.merging import raw_scores
from ml_server.training.parameters import Parameters, Plan
from ml_server.training.progress import Progress

_LEFT = 0.5
"""Fall of the log-loss, summed over all rows, in `patience` rounds, below which boosting stops: half a nat of likelihood is
noise, however many rounds it takes.
"""
_SMALL = 200_000
"""Number of codes up to which a second thread costs more than it saves."""


@dataclass(frozen=True)
class Examples:
    """Data to fit: codes (rows, features), class and weight of each row, and its fold."""

    codes: np.ndarray
    classes: Numbers
    weights: Numbers
    folds: Folds

    def dataset(self, options: dict[str, object]) -> lgb.Dataset:
        """Return a LightGBM dataset whose bins are the codes."""
        return lgb.Dataset(
            self.codes, self.classes, weight=self.weights, params=options, free_raw_data=True
        ).construct()


@dataclass(frozen=True)
class Boosting:
    """Fits boosters for a number of classes."""

    classes: int
    parameters: Parameters
    plan: Plan
    progress: Progress

    def fit_by_fold(self, examples: Examples, folds: Sequence[int] | None = None) -> tuple[list[lgb.Booster], int]:
        """Return a booster for each fold, fitted on the other folds, and the best number of rounds in the typical fold.

        `folds` restricts it to some folds.
        """
        options = self._options(self.parameters.seed, examples.codes.size)
        whole, max_rounds, started = examples.dataset(options), self.parameters.rounds, time.monotonic()
        boosters = []
        for fold in range(self.plan.folds) if folds is None else folds:
            fit, tune = (
                whole.subset(np.flatnonzero(own).tolist()) for own in (examples.folds != fold, examples.folds == fold)
            )
            booster = lgb.Booster({**options, "seed": self.parameters.seed + fold}, fit)
            boosters.append(booster.add_valid(tune, "fold"))
        losses: list[list[float]] = []
        best = 0
        for number in range(max_rounds):
            for booster in boosters:
                booster.update()
            losses.append([booster.eval_valid()[0][2] for booster in boosters])
            # Estimate the end as if the loss did not fall any further; each improvement moves it.
            likely = min(max_rounds, max(best + self.plan.patience, number) + 1)
            self.progress.report_round(number + 1, likely, float(np.mean(losses[-1])))
            if number % 10 == 0 or number + 1 == max_rounds:
                typical = typical_loss(losses)
                best = int(typical.argmin())
                if self._is_done(typical, best, float(np.mean(losses[0])) * len(examples.codes)) or self._is_late(
                    started
                ):
                    break
        return boosters, best + 1

    def _is_done(self, typical: Numbers, best: int, first: float) -> bool:
        """Return whether more rounds gain nothing: the loss rises, or hardly falls.

        `typical` are losses by round, relative to the first round's, whose sum over all rows is `first`.
        """
        number, patience = len(typical) - 1, self.plan.patience
        if number - best >= patience:
            return True
        return number > patience and float(typical[number - patience] - typical[best]) * first < _LEFT

    def fit_bags(self, examples: Examples, rounds: int) -> list[lgb.Booster]:
        """Return boosters fitted on all rows that differ by their seeds."""
        boosters = []
        codes = examples.codes.size
        dataset = examples.dataset(self._options(self.parameters.seed, codes))
        for bag in range(self.plan.bags):
            booster = lgb.Booster(self._options(self.parameters.seed + 100 + bag, codes), dataset)
            for number in range(rounds):
                booster.update()
                self.progress.report_round(bag * rounds + number + 1, self.plan.bags * rounds, None)
            boosters.append(booster)
        return boosters

    def out_of_fold(self, boosters: Sequence[lgb.Booster], codes: np.ndarray, folds: Folds, rounds: int) -> Numbers:
        """Return class scores of each row by the booster that was not fitted on it, shape (rows, classes)."""
        scores = np.empty((len(codes), self.classes))
        for fold, booster in enumerate(boosters):
            own = folds == fold
            scores[own] = raw_scores(
                lambda rows, raw_score, of=booster: of.predict(rows, raw_score=raw_score, num_iteration=rounds),
                codes[own],
            )
        return scores

    def _is_late(self, started: float) -> bool:
        """Return whether the folds have used their part of the time budget; the bags take about as long each."""
        budget = self.parameters.time_budget
        share = self.plan.folds / (self.plan.folds + self.plan.bags * 1.5)
        return budget is not None and time.monotonic() - started > budget * share

    def _options(self, seed: int, codes: int) -> dict[str, object]:
        several = {"objective": "multiclass", "num_class": self.classes}
        return {
            **({"objective": "binary"} if self.classes == 2 else several),
            "learning_rate": self.plan.learning_rate,
            "max_depth": self.plan.depth,
            "num_leaves": self.plan.leaves,
            "max_bin": 255,  # more than our own cuts, so LightGBM adds none
            "min_data_in_bin": 1,
            "lambda_l2": self.plan.shrinkage,
            "min_data_in_leaf": self.plan.leaf,
            "bagging_fraction": 0.5,
            "bagging_freq": 1,
            "feature_fraction": self.plan.fields,
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,  # measured: three times as fast as row-wise for trees of four leaves
            "num_threads": 1 if codes <= _SMALL else 0,  # 0: OMP_NUM_THREADS, else all cores
            "verbose": -1,
        }
