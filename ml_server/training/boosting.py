"""The booster's part of training."""

import math
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml_server.features.sources import Numbers
from ml_server.model.log_odds import LogOdds
from ml_server.training.labels import soft_labels, targets
from ml_server.training.parameters import Parameters
from ml_server.training.preprocessing import Preprocessor
from ml_server.training.progress import Progress
from ml_server.training.soft_labels import class_weights, expand

Part = tuple[Numbers, Numbers, Numbers]
"""Matrix, class and weight of rows."""

Copies = tuple[pa.Table, pa.Table, NDArray[np.intp]]
"""Whole rows, the rows to fit on (some of them copies with fields dropped), and the whole row of each."""


@dataclass(frozen=True)
class Boosting:
    """The booster's part of training."""

    preprocessor: Preprocessor
    log_odds: LogOdds
    parameters: Parameters
    tell: Progress

    def hard(self, fit_rows: pa.Table, tune_rows: pa.Table) -> lgb.LGBMClassifier:
        """Fit on the classes that the labels name."""
        parts = [self._hard_part(rows) for rows in (fit_rows, tune_rows)]
        return self._fit(parts[0], parts[1])

    def soft(self, first: lgb.LGBMClassifier, fit_rows: Copies, tune_rows: Copies) -> lgb.LGBMClassifier:
        """Fit on the exact probabilities.

        Copies with fields dropped take the exact probability of their whole row: its mean over all rows that look alike without
        the missing fields is the exact probability given what is left.
        """
        parts = [self._soft_part(first, rows) for rows in (fit_rows, tune_rows)]
        return self._fit(parts[0], parts[1])

    def _hard_part(self, rows: pa.Table) -> Part:
        return self.preprocessor.transform(rows), targets(rows, self.log_odds), np.ones(rows.num_rows)

    def _soft_part(self, first: lgb.LGBMClassifier, copies: Copies) -> Part:
        whole, rows, place = copies
        scores = raw_scores(first, self.preprocessor.transform(whole))
        weights = class_weights(scores, soft_labels(whole), self.log_odds)
        return expand(self.preprocessor.transform(rows), weights[place])

    def _fit(self, fit: Part, tune: Part) -> lgb.LGBMClassifier:
        parameters = self.parameters
        model = lgb.LGBMClassifier(
            objective="multiclass",
            num_class=len(self.log_odds.classes),
            n_estimators=parameters.rounds,
            learning_rate=parameters.learning_rate,
            max_depth=2,  # two features at most on any way: such trees are tables (see collapse)
            num_leaves=4,
            max_bin=parameters.bins,
            reg_lambda=parameters.shrinkage,
            min_child_samples=40,
            subsample=0.8,
            subsample_freq=1,
            colsample_bytree=0.5,
            random_state=parameters.seed,
            deterministic=True,
            force_row_wise=True,
            n_jobs=0,  # as many threads as OMP_NUM_THREADS says, else all cores
            verbose=-1,
        )
        model.fit(
            fit[0],
            fit[1],
            sample_weight=fit[2],
            eval_X=tune[0],
            eval_y=tune[1],
            eval_sample_weight=[tune[2]],
            callbacks=[lgb.early_stopping(parameters.patience, verbose=False), self._report],
        )
        return model

    def _report(self, at: lgb.callback.CallbackEnv) -> None:
        loss = float(at.evaluation_result_list[0][2]) if at.evaluation_result_list else math.nan
        self.tell.round(at.iteration + 1, at.end_iteration, loss)


def raw_scores(model: lgb.LGBMClassifier, matrix: Numbers) -> Numbers:
    """Scores of the classes before softmax, shape (rows, classes)."""
    scores = np.asarray(model.predict(matrix, raw_score=True))
    return scores if scores.ndim == 2 else np.stack([np.zeros(len(scores)), scores], axis=1)
