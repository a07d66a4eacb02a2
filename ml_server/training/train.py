"""Training: from a table to a model with metrics. The same table and seed give the same model bytes."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import joblib
import lightgbm as lgb
import numpy as np
import pyarrow as pa

from ml_server.features.feature_set import Extra, FeatureSet
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.model.calibration import Calibration
from ml_server.model.form import Form
from ml_server.model.log_odds import LogOdds
from ml_server.model.tables.from_lightgbm import terms_of
from ml_server.model.trees.from_lightgbm import forest_of
from ml_server.registry.bundle import TREES, Bundle, Learned, Metadata, form_of
from ml_server.registry.store import HELD_OUT_SCORES
from ml_server.training.description import curves, golden_examples, importance, measure, newest_fold_rates
from ml_server.training.field_dropout import DOCUMENTED_FIELDS, keep_only
from ml_server.training.fitting.boosting import Boosting, Examples
from ml_server.training.fitting.fit_calibration import fit_calibration
from ml_server.training.fitting.folds import folds_in_time
from ml_server.training.fitting.forms import Choice, choose
from ml_server.training.fitting.gain import Costs, costs_of
from ml_server.training.fitting.merging import merge_boosters, raw_scores
from ml_server.training.fitting.rows import Rows, rows_of
from ml_server.training.fitting.soft_labels import class_weights, expand
from ml_server.training.label_checks import label_warnings
from ml_server.training.labels import abuse_of, classes_of, prior_shift, soft_labels, targets, weights_of
from ml_server.training.parameters import Parameters, Plan, plan_for
from ml_server.training.preprocessing import Preprocessor
from ml_server.training.progress import NoProgress, Progress
from ml_server.training.split import split_in_time

AVERAGE_ROWS = 100_000
"""Maximum number of rows to compute averages from."""
NO_PROGRESS = NoProgress()


@dataclass(frozen=True)
class Trained:
    """A trained model without a version, the scores of its held-out part, and files for notebooks."""

    bundle: Bundle
    notebook_files: Mapping[str, bytes]
    test_part: pa.Table
    held_out: Numbers
    """Scores of the test part from before the final fit on all rows, shape (rows,)."""


@dataclass(frozen=True)
class Fitted:
    """A model over a table's features, as fitted by boosting."""

    features: FeatureSet
    booster: lgb.Booster
    learned: Learned

    @cached_property
    def form(self) -> Form:
        """Scorer of the learned parameters."""
        return form_of(self.learned)


def train(
    table: pa.Table, parameters: Parameters, extra: Extra | None = None, progress: Progress = NO_PROGRESS
) -> Trained:
    """Choose rounds and calibration by folds of time, measure on the held-out part, then fit on all rows.

    Raises TrainingError.
    """
    table = table.sort_by("timestamp")
    fit_part, test_part = split_in_time(table, parameters.holdout)
    log_odds, extra = LogOdds(classes_of(table)), extra or Extra()
    if parameters.target == "soft":
        soft_labels(table)  # fail early if some are missing
    for warning in label_warnings(table, extra):
        progress.report(warning)
    is_abuse = abuse_of(fit_part)
    plan = plan_for(int(min(is_abuse.sum(), len(is_abuse) - is_abuse.sum())), parameters)
    progress.report(
        f"choosing rounds on {fit_part.num_rows:,} rows in {plan.folds} folds of time, "
        f"classes {', '.join(log_odds.classes)}"
    )
    labels = Boosting(len(log_odds.classes), parameters, plan, progress)
    preprocessor, rows, examples = _prepare(fit_part, parameters, plan, log_odds, extra, labels)
    features = preprocessor.feature_set()

    def costs(tables: Choice, trees: Choice) -> Costs:
        def form(one: Choice) -> Form:
            boosters = one.boosters[: one.boosting.plan.bags]  # at most as many as are averaged in the end
            return _merge(one.form, features, boosters, rows, one.rounds, log_odds, fit_part).form

        return costs_of(form(tables), form(trees), preprocessor.transform(test_part.slice(0, 100)))

    chosen = choose(examples, rows, is_abuse, log_odds, plan, parameters, progress, costs)
    boosting, rounds, unseen = chosen.boosting, chosen.rounds, log_odds.of_rows(chosen.unseen)
    calibration = _calibration(unseen, is_abuse, rows, weights_of(fit_part))
    progress.report(f"{rounds:,} rounds, calibration of {len(calibration.raw)} points; measuring on the held-out part")
    tried = _merge(chosen.form, features, chosen.boosters, rows, rounds, log_odds, fit_part)
    held_out = _scores(tried, test_part, log_odds, calibration)
    metrics = measure(
        test_part, held_out, _scores(tried, keep_only(test_part, DOCUMENTED_FIELDS), log_odds, calibration)
    )
    metrics |= newest_fold_rates(unseen, is_abuse, rows, calibration) | (chosen.gain.metrics() if chosen.gain else {})
    shapes = curves(test_part, held_out)
    chosen_form = chosen.form
    del rows, examples, chosen, tried

    progress.report(f"fitting on all {table.num_rows:,} rows, {boosting.plan.bags} times")
    preprocessor, rows, examples = _prepare(table, parameters, plan, log_odds, extra, labels)
    for line in preprocessor.warnings(table):
        progress.report(line)
    fitted = _merge(
        chosen_form, preprocessor.feature_set(), boosting.fit_bags(examples, rounds), rows, rounds, log_odds, table
    )
    features, shift = fitted.features, prior_shift(table, parameters.prevalence)

    def score(matrix: Numbers) -> Numbers:
        # By the booster itself: serving must reach the same scores by its own code, on every load.
        return calibration.scores(log_odds.of_rows(raw_scores(fitted.booster.predict, matrix)), shift)

    sample = preprocessor.transform(test_part.slice(0, 1000))
    metadata = Metadata(
        model_version="",
        training_date="",
        metrics=metrics,
        **shapes,
        dataset={},
        classes=log_odds.classes,
        n_features=len(features.names),
        rounds=rounds,
        importance=importance(fitted.form, log_odds, sample, features.names),
        parameters=asdict(parameters) | asdict(boosting.plan) | {"form": chosen_form},
    )
    bundle = Bundle(
        features, fitted.learned, log_odds, calibration, shift, golden_examples(test_part, features, score), metadata
    )
    notebook_files = {
        "model.txt": fitted.booster.model_to_string().encode(),
        "preprocessor.joblib": _pickle(preprocessor),
        HELD_OUT_SCORES: _to_npy(held_out),
    }
    return Trained(bundle, notebook_files, test_part, held_out)


def _prepare(
    table: pa.Table,
    parameters: Parameters,
    plan: Plan,
    log_odds: LogOdds,
    extra: Extra,
    boosting: Boosting,
) -> tuple[Preprocessor, Rows, Examples]:
    """Return the data to fit: the features learned from the table, its rows in bins, and their labels."""
    is_abuse = abuse_of(table)
    preprocessor = Preprocessor(extra_numeric=extra.numeric, extra_categorical=extra.categorical)
    preprocessor.fit(table, is_abuse)
    rows = rows_of(
        table,
        preprocessor.feature_set(),
        folds_in_time(is_abuse, plan.folds),
        parameters.sparse_copies,
        parameters.bins,
        preprocessor.at_least,
        parameters.seed,
    )
    own = weights_of(table)[rows.whole] * rows.factors
    examples = Examples(rows.codes, targets(rows.table, log_odds), own, rows.folds)
    if parameters.target == "hard":
        return preprocessor, rows, examples
    # Copies with dropped fields get the exact probability of their whole row. Its mean over all rows that are equal
    # without the missing fields is the exact probability given the remaining ones.
    boosting.progress.report("fitting on the hard label first, to share the soft one among the classes")
    boosters, best = boosting.fit_by_fold(examples)
    scores = boosting.out_of_fold(boosters, rows.codes[: table.num_rows], rows.folds[: table.num_rows], best)
    weights = class_weights(scores, soft_labels(table), log_odds)
    places, classes, shares = expand(weights[rows.whole])
    return preprocessor, rows, Examples(rows.codes[places], classes, shares * own[places], rows.folds[places])


def _merge(
    form: str,
    features: FeatureSet,
    boosters: Sequence[lgb.Booster],
    rows: Rows,
    rounds: int,
    log_odds: LogOdds,
    table: pa.Table,
) -> Fitted:
    """Return the mean of boosters, as one booster and in the form that serves."""
    booster, classes = merge_boosters(boosters, rows.cuts, rounds), len(log_odds.classes)
    if form == TREES:
        return Fitted(features, booster, forest_of(booster, classes, len(features.names)))
    step = -(-table.num_rows // AVERAGE_ROWS)
    average = features.matrix(TableColumns(table.take(pa.array(range(0, table.num_rows, step)))))
    return Fitted(features, booster, terms_of(booster, classes, len(features.names), average))


def _calibration(unseen: Numbers, is_abuse: Numbers, rows: Rows, weights: Numbers) -> Calibration:
    """Fit the calibration; `unseen` are out-of-fold scores of all rows, other arrays belong to the table."""
    own = np.flatnonzero(rows.calibrating)
    whole = rows.whole[own]
    return fit_calibration(unseen[own], 1 - is_abuse[whole], rows.folds[own], weights[whole] * rows.factors[own])


def _scores(fitted: Fitted, table: pa.Table, log_odds: LogOdds, calibration: Calibration) -> Numbers:
    scores = fitted.form.scores(fitted.features.matrix(TableColumns(table)))
    return calibration.scores(log_odds.of_rows(scores))


def _pickle(value: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer)
    return buffer.getvalue()


def _to_npy(values: Numbers) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
