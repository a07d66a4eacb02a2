"""Training: a table in, a model with its figures out. Same table and seed, same model bytes."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import joblib
import numpy as np
import pyarrow as pa

from contract.messages import messages
from ml_server.evaluation.figures import against_limit, figures
from ml_server.features.feature_set import Extra, FeatureSet
from ml_server.features.message_columns import MessageColumns
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.model.additive import Additive
from ml_server.model.from_lightgbm import terms_of
from ml_server.model.log_odds import LogOdds
from ml_server.registry.bundle import Bundle, Metadata
from ml_server.registry.golden_examples import COUNT, anonymous, golden_example
from ml_server.training.boosting import Boosting, raw_scores
from ml_server.training.field_dropout import DOCUMENTED_FIELDS, drop_fields, keep_only
from ml_server.training.fit_calibration import fit_calibration
from ml_server.training.labels import abuse_of, classes_of, prior_shift, soft_labels
from ml_server.training.parameters import Parameters
from ml_server.training.preprocessing import Preprocessor
from ml_server.training.progress import Progress, Silent
from ml_server.training.split import split_in_time

SILENT = Silent()


@dataclass(frozen=True)
class Trained:
    """A trained model, not yet named, with the figures of its held-out part, and files for notebooks beside it."""

    bundle: Bundle
    notebook_files: Mapping[str, bytes]


def train(table: pa.Table, parameters: Parameters, extra: Extra | None = None, tell: Progress = SILENT) -> Trained:
    """Split in time, fit with early stopping, calibrate, measure on the held-out part. Raises TrainingError."""
    table = table.sort_by("timestamp")
    fit_part, tune_part, test_part = split_in_time(table)
    log_odds, extra = LogOdds(classes_of(table)), extra or Extra()
    if parameters.target == "soft":
        soft_labels(table)  # missing ones show before the work begins
    rng = np.random.default_rng(parameters.seed)
    preprocessor = Preprocessor(extra_numeric=extra.numeric, extra_categorical=extra.categorical)
    preprocessor.fit(fit_part, abuse_of(fit_part))
    tell.say(f"fitting on {fit_part.num_rows:,} rows, classes {', '.join(log_odds.classes)}")
    chosen = np.flatnonzero(rng.random(fit_part.num_rows) < parameters.sparse_copies)
    fit_rows = pa.concat_tables([fit_part, drop_fields(fit_part.take(pa.array(chosen)), rng)])
    tune_rows = pa.concat_tables([tune_part, drop_fields(tune_part, rng)])
    boosting = Boosting(preprocessor, log_odds, parameters, tell)
    booster = boosting.hard(fit_rows, tune_rows)
    if parameters.target == "soft":
        tell.say("fitting again on the soft label")
        fit_whole = np.concatenate([np.arange(fit_part.num_rows), chosen])
        tune_whole = np.tile(np.arange(tune_part.num_rows), 2)
        booster = boosting.soft(booster, (fit_part, fit_rows, fit_whole), (tune_part, tune_rows, tune_whole))
    rounds = int(booster.best_iteration_ or parameters.rounds)
    tell.say(f"{rounds:,} rounds; making tables, calibrating, measuring")

    features = preprocessor.feature_set()
    classes, names = log_odds.classes, features.names
    terms = terms_of(booster.booster_, len(classes), len(names), preprocessor.transform(fit_rows), rounds)
    additive = Additive(terms)

    def raw(part: pa.Table) -> Numbers:
        return log_odds.of_rows(additive.scores(preprocessor.transform(part)))

    calibration = fit_calibration(raw(tune_rows), 1 - abuse_of(tune_rows))
    shift = prior_shift(table, parameters.prevalence)

    def score(matrix: Numbers) -> Numbers:
        # By the booster itself: serving has to come to the same by its own way, at every load.
        return calibration.scores(log_odds.of_rows(raw_scores(booster, matrix)), shift)

    sample = preprocessor.transform(test_part.slice(0, 1000))
    metadata = Metadata(
        model_version="",
        training_date="",
        metrics=_measure(test_part, lambda part: calibration.scores(raw(part))),
        dataset={},
        classes=classes,
        n_features=len(names),
        rounds=rounds,
        importance=importance(additive, log_odds, sample, names),
        parameters=asdict(parameters),
    )
    bundle = Bundle(
        features, terms, log_odds, calibration, shift, golden_examples(test_part, features, score), metadata
    )
    notebook_files = {
        "model.txt": booster.booster_.model_to_string(num_iteration=rounds).encode(),
        "fraud_model.joblib": _dumped(booster),
        "preprocessor.joblib": _dumped(preprocessor),
    }
    return Trained(bundle, notebook_files)


def importance(additive: Additive, log_odds: LogOdds, matrix: Numbers, names: Sequence[str]) -> dict[str, float]:
    """Mean size of each feature's contribution to the raw log-odds over some rows."""
    slopes = np.array([log_odds.slopes(additive.base, scores) for scores in additive.scores(matrix).tolist()])
    sizes = np.abs(additive.contributions(matrix, slopes)).mean(axis=0)
    return {name: round(float(size), 4) for name, size in zip(names, sizes, strict=True)}


def golden_examples(table: pa.Table, features: FeatureSet, score: Callable[[Numbers], Numbers]) -> list[dict[str, Any]]:
    """Golden examples out of a table, evenly spread over it; `score` takes rows of features."""
    step = max(1, table.num_rows // COUNT)
    orders = list(messages(table.take(pa.array(range(0, table.num_rows, step)))))
    orders = [anonymous(order, number) for number, order in enumerate(orders, 1)]
    scores = score(features.matrix(MessageColumns([features.fields(order) for order in orders]))).tolist()
    return [golden_example(order, value) for order, value in zip(orders, scores, strict=True)]


def _measure(test_part: pa.Table, score: Callable[[pa.Table], Numbers]) -> dict[str, float]:
    is_abuse, scores = abuse_of(test_part), score(test_part)
    metrics = figures(scores, is_abuse)
    if "abuse_confidence" in test_part.column_names and test_part.column("abuse_confidence").null_count == 0:
        metrics |= against_limit(scores, is_abuse, TableColumns(test_part).number("abuse_confidence"))
    sparse = figures(score(keep_only(test_part, DOCUMENTED_FIELDS)), is_abuse)
    metrics |= {f"sparse_{name}": sparse[name] for name in ("roc_auc", "ece", "brier") if name in sparse}
    return metrics


def _dumped(value: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer)
    return buffer.getvalue()
