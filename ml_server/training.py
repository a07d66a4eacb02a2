"""Training: a table in, a version of a model with its figures out. Same table and seed, same model bytes."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import joblib
import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_server.calibration import Calibration, fit_calibration
from ml_server.classes import ABUSE, HONEST, Classes
from ml_server.evaluation import against_limit, figures
from ml_server.inputs import Columns, Numbers
from ml_server.knockout import DOCUMENTED_REQUEST, keep_only, knock_out
from ml_server.preprocessing import Preprocessor
from runtime.contract import ABUSE_TYPES

LEAST_ROWS = 200
FIT, TUNE = 0.70, 0.15  # shares of the time; what is left is the held-out part


class TrainingError(ValueError):
    """A table that no model can be trained on; the message says why."""


@dataclass(frozen=True)
class Parameters:
    """What training can be told."""

    seed: int = 42
    rounds: int = 900
    patience: int = 30
    learning_rate: float = 0.1
    leaves: int = 7
    sparse_copies: float = 0.5


@dataclass(frozen=True)
class Trained:
    """A trained model: the files to keep and the figures measured on the held-out part."""

    files: Mapping[str, bytes | str]
    metrics: Mapping[str, float]
    classes: Classes
    feature_names: tuple[str, ...]
    rounds: int


def train(table: pa.Table, parameters: Parameters, tell: Callable[[str], None] = lambda line: None) -> Trained:
    """Split in time, fit with early stopping, calibrate, measure on the held-out part. Raises TrainingError."""
    table = table.sort_by("timestamp")
    fit_part, tune_part, test_part = split_in_time(table)
    classes = classes_of(table)
    rng = np.random.default_rng(parameters.seed)
    preprocessor = Preprocessor().fit(fit_part, abuse_of(fit_part))
    tell(f"fitting on {fit_part.num_rows:,} rows, classes {', '.join(classes.names)}")
    sample = rng.random(fit_part.num_rows) < parameters.sparse_copies
    fit_rows = pa.concat_tables([fit_part, knock_out(fit_part.filter(pa.array(sample)), rng)])
    tune_rows = pa.concat_tables([tune_part, knock_out(tune_part, rng)])
    model = _fit(preprocessor, classes, fit_rows, tune_rows, parameters)
    rounds = int(model.best_iteration_ or parameters.rounds)

    def raw(part: pa.Table) -> Numbers:
        scores = model.predict(preprocessor.transform(part), raw_score=True)
        return classes.raws(_two_columns(np.asarray(scores)))

    calibration = fit_calibration(raw(tune_rows), 1 - abuse_of(tune_rows))
    metrics = _measure(test_part, lambda part: calibration.scores(raw(part)))
    features = preprocessor.feature_set()
    return Trained(
        files={
            "model.txt": model.booster_.model_to_string(num_iteration=rounds),
            "features.json": json.dumps({"names": features.names, "classes": classes.names, "orders": features.orders}),
            "calibration.json": calibration_json(calibration, 0.0),
            "fraud_model.joblib": _dumped(model),
            "preprocessor.joblib": _dumped(preprocessor),
        },
        metrics=metrics,
        classes=classes,
        feature_names=features.names,
        rounds=rounds,
    )


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


def _fit(
    preprocessor: Preprocessor, classes: Classes, fit_rows: pa.Table, tune_rows: pa.Table, parameters: Parameters
) -> lgb.LGBMClassifier:
    model = lgb.LGBMClassifier(
        objective="multiclass",
        num_class=len(classes.names),
        n_estimators=parameters.rounds,
        learning_rate=parameters.learning_rate,
        num_leaves=parameters.leaves,
        min_child_samples=40,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        random_state=parameters.seed,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )
    model.fit(
        preprocessor.transform(fit_rows),
        _targets(fit_rows, classes),
        eval_X=preprocessor.transform(tune_rows),
        eval_y=_targets(tune_rows, classes),
        callbacks=[lgb.early_stopping(parameters.patience, verbose=False)],
    )
    return model


def _two_columns(scores: Numbers) -> Numbers:
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
