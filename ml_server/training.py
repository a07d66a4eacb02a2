"""Training: a table in, a version of a model with its figures out. Same table and seed, same model bytes."""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import joblib
import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml_server.additive import Additive
from ml_server.calibration import Calibration, fit_calibration
from ml_server.classes import ABUSE, HONEST, Classes
from ml_server.collapse import collapse
from ml_server.columns import Columns
from ml_server.evaluation import against_limit, figures
from ml_server.features import Extra
from ml_server.inputs import Numbers
from ml_server.knockout import DOCUMENTED_REQUEST, keep_only, knock_out
from ml_server.preprocessing import Preprocessor
from ml_server.progress import Progress, Silent
from ml_server.recording import record
from ml_server.soft import class_weights, expand
from runtime.contract import ABUSE_TYPES

LEAST_ROWS = 200
SILENT = Silent()
FIT, TUNE = 0.70, 0.15  # shares of the time; what is left is the held-out part


class TrainingError(ValueError):
    """A table that no model can be trained on; the message says why."""


@dataclass(frozen=True)
class Parameters:
    """What training can be told.

    `target` is the label to learn: hard (is_abuse, abuse_type) or soft (abuse_confidence). `prevalence` is the share of
    abuse among the orders of the shop, where that differs from the training data's.
    """

    seed: int = 42
    target: str = "hard"
    prevalence: float | None = None
    rounds: int = 3000
    patience: int = 40
    learning_rate: float = 0.3
    bins: int = 31
    shrinkage: float = 10.0
    sparse_copies: float = 0.5


@dataclass(frozen=True)
class Trained:
    """A trained model: the files to keep and the figures measured on the held-out part."""

    files: Mapping[str, bytes | str]
    metrics: Mapping[str, float]
    classes: Classes
    feature_names: tuple[str, ...]
    rounds: int
    importance: Mapping[str, float]


def train(table: pa.Table, parameters: Parameters, extra: Extra | None = None, tell: Progress = SILENT) -> Trained:
    """Split in time, fit with early stopping, calibrate, measure on the held-out part. Raises TrainingError."""
    table = table.sort_by("timestamp")
    fit_part, tune_part, test_part = split_in_time(table)
    classes, extra = classes_of(table), extra or Extra()
    if parameters.target == "soft":
        soft_labels(table)  # missing ones show before the work begins
    rng = np.random.default_rng(parameters.seed)
    preprocessor = Preprocessor(extra_numeric=extra.numeric, extra_categorical=extra.categorical)
    preprocessor.fit(fit_part, abuse_of(fit_part))
    tell.say(f"fitting on {fit_part.num_rows:,} rows, classes {', '.join(classes.names)}")
    chosen = np.flatnonzero(rng.random(fit_part.num_rows) < parameters.sparse_copies)
    fit_rows = pa.concat_tables([fit_part, knock_out(fit_part.take(pa.array(chosen)), rng)])
    tune_rows = pa.concat_tables([tune_part, knock_out(tune_part, rng)])
    fitting = Fitting(preprocessor, classes, parameters, tell)
    model = fitting.hard(fit_rows, tune_rows)
    if parameters.target == "soft":
        tell.say("fitting again on the soft label")
        fit_whole = np.concatenate([np.arange(fit_part.num_rows), chosen])
        tune_whole = np.tile(np.arange(tune_part.num_rows), 2)
        model = fitting.soft(model, (fit_part, fit_rows, fit_whole), (tune_part, tune_rows, tune_whole))
    rounds = int(model.best_iteration_ or parameters.rounds)
    tell.say(f"{rounds:,} rounds; making tables, calibrating, measuring")

    features = preprocessor.feature_set()
    text = model.booster_.model_to_string(num_iteration=rounds)
    terms = collapse(text, len(classes.names), len(features.names), preprocessor.transform(fit_rows))
    additive = Additive(terms)

    def raw(part: pa.Table) -> Numbers:
        return classes.raws(additive.many(preprocessor.transform(part)))

    calibration = fit_calibration(raw(tune_rows), 1 - abuse_of(tune_rows))
    metrics = _measure(test_part, lambda part: calibration.scores(raw(part)))
    shift = prior_shift(table, parameters.prevalence)

    def scores(part: pa.Table) -> Numbers:
        # By the booster itself: serving has to come to the same by its own way, at every load.
        by_class = raw_scores(model, preprocessor.transform(part))
        return calibration.scores(classes.raws(by_class), shift)

    return Trained(
        files={
            "model.txt": text,
            "terms.npz": terms.dump(),
            "features.json": json.dumps(
                {"names": features.names, "classes": classes.names, "orders": features.orders, "extra": asdict(extra)}
            ),
            "calibration.json": calibration_json(calibration, shift),
            "examples.json": json.dumps(record(test_part, scores)),
            "fraud_model.joblib": _dumped(model),
            "preprocessor.joblib": _dumped(preprocessor),
        },
        metrics=metrics,
        classes=classes,
        feature_names=features.names,
        rounds=rounds,
        importance=importance(additive, classes, preprocessor.transform(test_part.slice(0, 1000)), features.names),
    )


def importance(additive: Additive, classes: Classes, matrix: Numbers, names: Sequence[str]) -> dict[str, float]:
    """Mean size of each feature's contribution to the raw log-odds over some rows."""
    slopes = np.array([classes.slopes(additive.base, scores) for scores in additive.many(matrix).tolist()])
    sizes = np.abs(additive.many_earned(matrix, slopes)).mean(axis=0)
    return {name: round(float(size), 4) for name, size in zip(names, sizes, strict=True)}


def prior_shift(table: pa.Table, prevalence: float | None) -> float:
    """What is added to the log-odds of legitimacy where the shop has another share of abuse than the training data.

    Saerens, Latinne, Decaestecker: Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002.
    """
    if prevalence is None:
        return 0.0
    rate = float(abuse_of(table).mean())
    return math.log((1 - prevalence) / prevalence) - math.log((1 - rate) / rate)


def soft_labels(table: pa.Table) -> Numbers:
    """The exact probabilities of abuse, shape (rows,). Raises TrainingError where the table has none."""
    if "abuse_confidence" not in table.column_names or table.column("abuse_confidence").null_count:
        raise TrainingError("--target soft needs abuse_confidence in every row")
    return Columns(table).number("abuse_confidence")


def split_in_time(table: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
    """A table in order of time in three parts: to fit, to stop and calibrate, to measure."""
    rows = table.num_rows
    if rows < LEAST_ROWS:
        raise TrainingError(f"{rows} rows are too few to train on: {LEAST_ROWS} are the least")
    first, second = int(rows * FIT), int(rows * (FIT + TUNE))
    parts = (table.slice(0, first), table.slice(first, second - first), table.slice(second))
    for name, part in zip(("first", "middle", "last"), parts, strict=True):
        abuse = abuse_of(part)
        if not 0 < abuse.sum() < len(abuse):
            raise TrainingError(f"the {name} part in time holds only {'abuse' if abuse.all() else 'honest orders'}")
    return parts


def abuse_of(table: pa.Table) -> Numbers:
    """1 for abuse, 0 for honest orders, shape (rows,)."""
    if "is_abuse" not in table.column_names:
        raise TrainingError("column is_abuse is missing: training needs labels")
    label = table.column("is_abuse")
    if label.null_count:
        raise TrainingError(
            f"column is_abuse has {label.null_count:,} empty values: training needs a label in each row"
        )
    result: Numbers = label.combine_chunks().cast(pa.uint8()).to_numpy(zero_copy_only=False).astype(np.float64)
    return result


def classes_of(table: pa.Table) -> Classes:
    """The classes that the labels tell apart: by abuse type where that agrees with is_abuse, else honest and abuse."""
    if "abuse_type" in table.column_names and table.column("abuse_type").null_count == 0:
        kinds = set(pc.unique(table.column("abuse_type")).to_pylist())
        is_type = pc.is_in(table.column("abuse_type"), pa.array(ABUSE_TYPES))
        if kinds <= {*HONEST, *ABUSE_TYPES} and pc.all(pc.equal(is_type, table.column("is_abuse"))).as_py():
            return Classes(tuple(name for name in (*HONEST, *ABUSE_TYPES) if name in kinds))
    return Classes((HONEST[0], ABUSE))


def _targets(table: pa.Table, classes: Classes) -> Numbers:
    if ABUSE in classes.names:
        return abuse_of(table)
    places = pc.index_in(table.column("abuse_type").combine_chunks(), value_set=pa.array(classes.names))
    result: Numbers = places.to_numpy(zero_copy_only=False).astype(np.float64)
    return result


Part = tuple[Numbers, Numbers, Numbers]
"""Matrix, class and weight of rows."""
Copies = tuple[pa.Table, pa.Table, NDArray[np.intp]]
"""Whole rows, the rows to fit on (some of them knocked-out copies), and the whole row of each."""


@dataclass(frozen=True)
class Fitting:
    """The booster's part of training."""

    preprocessor: Preprocessor
    classes: Classes
    parameters: Parameters
    tell: Progress

    def hard(self, fit_rows: pa.Table, tune_rows: pa.Table) -> lgb.LGBMClassifier:
        """Fit on the classes that the labels name."""
        parts = [self._hard_part(rows) for rows in (fit_rows, tune_rows)]
        return self._fit(parts[0], parts[1])

    def soft(self, first: lgb.LGBMClassifier, fit_rows: Copies, tune_rows: Copies) -> lgb.LGBMClassifier:
        """Fit on the exact probabilities.

        Knocked-out copies take the exact probability of their whole row: its mean over all rows that look alike without
        the missing fields is the exact probability given what is left.
        """
        parts = [self._soft_part(first, rows) for rows in (fit_rows, tune_rows)]
        return self._fit(parts[0], parts[1])

    def _hard_part(self, rows: pa.Table) -> Part:
        return self.preprocessor.transform(rows), _targets(rows, self.classes), np.ones(rows.num_rows)

    def _soft_part(self, first: lgb.LGBMClassifier, copies: Copies) -> Part:
        whole, rows, place = copies
        scores = raw_scores(first, self.preprocessor.transform(whole))
        weights = class_weights(scores, soft_labels(whole), self.classes)
        return expand(self.preprocessor.transform(rows), weights[place])

    def _fit(self, fit: Part, tune: Part) -> lgb.LGBMClassifier:
        parameters = self.parameters
        model = lgb.LGBMClassifier(
            objective="multiclass",
            num_class=len(self.classes.names),
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


def _measure(test_part: pa.Table, score: Callable[[pa.Table], Numbers]) -> dict[str, float]:
    is_abuse, scores = abuse_of(test_part), score(test_part)
    metrics = figures(scores, is_abuse)
    if "abuse_confidence" in test_part.column_names and test_part.column("abuse_confidence").null_count == 0:
        metrics |= against_limit(scores, is_abuse, Columns(test_part).number("abuse_confidence"))
    sparse = figures(score(keep_only(test_part, DOCUMENTED_REQUEST)), is_abuse)
    metrics |= {f"sparse_{name}": sparse[name] for name in ("roc_auc", "ece", "brier") if name in sparse}
    return metrics


def calibration_json(calibration: Calibration, prior_shift: float) -> str:
    """The calibration as serving reads it."""
    return json.dumps({"raw": calibration.raw, "true": calibration.true, "prior_shift": prior_shift})


def _dumped(value: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer)
    return buffer.getvalue()
