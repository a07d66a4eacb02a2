"""Training and calibration."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.evaluation.reliability import expected_calibration_error
from ml_server.features.declarations import RANKED
from ml_server.features.feature_set import Extra, FeatureSet
from ml_server.features.operations import Ranked
from ml_server.features.rankings import fit_ranking, out_of_fold
from ml_server.features.table_columns import TableColumns
from ml_server.model.calibration import Calibration
from ml_server.model.tables.from_lightgbm import terms_of
from ml_server.registry.bundle import Bundle
from ml_server.training.field_dropout import drop_fields
from ml_server.training.fitting.binning import codes_of
from ml_server.training.fitting.fit_calibration import MIN_SLOPE, fit_calibration
from ml_server.training.fitting.folds import folds_in_time, typical_loss
from ml_server.training.fitting.merging import merge_boosters, raw_scores
from ml_server.training.labels import TrainingError
from ml_server.training.parameters import Parameters
from ml_server.training.preprocessing import Preprocessor
from ml_server.training.train import train

_LABELS = np.array([1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0], dtype=float)


def test_terms_are_the_trees(table: pa.Table, models: Path, model: Bundle) -> None:
    """Serving's tables and the notebook's LightGBM model give the same scores, for one, many and sparse orders."""
    import joblib
    import lightgbm as lgb

    folder = models / "current"
    sparse = drop_fields(table.slice(0, 1500), np.random.default_rng(3))
    matrix = joblib.load(folder / "preprocessor.joblib").transform(pa.concat_tables([table.slice(0, 500), sparse]))
    wanted = raw_scores(lgb.Booster(model_file=folder / "model.txt").predict, matrix)
    np.testing.assert_allclose(model.form.scores(matrix), wanted, atol=1e-9)
    one_by_one = [model.form.scores_of_groups(model.form.groups_of_row(row)) for row in matrix.tolist()]
    np.testing.assert_allclose(one_by_one, wanted, atol=1e-9)


def test_bags_collapse_exactly() -> None:
    """A model merged from several gives the mean of their raw scores for every value, also unknown and extreme ones."""
    import lightgbm as lgb

    rng = np.random.default_rng(0)
    cuts = [np.sort(rng.normal(size=9)) for _ in range(3)]
    values = rng.normal(size=(4000, 3))
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:2] = np.array([[-1e30], [1e30]])
    codes = np.stack([codes_of(values[:, place], known) for place, known in enumerate(cuts)], axis=1)
    kinds = (np.nan_to_num(values).sum(axis=1) + rng.normal(size=4000) > 0).astype(int)
    options = {"objective": "binary", "num_leaves": 4, "max_depth": 2, "verbose": -1, "num_threads": 1}
    bags = [
        lgb.train({**options, "seed": seed, "feature_fraction": 0.5}, lgb.Dataset(codes, kinds), 20)
        for seed in (1, 2, 3)
    ]
    wanted = np.mean([bag.predict(codes, raw_score=True) for bag in bags], axis=0)
    np.testing.assert_allclose(merge_boosters(bags, cuts).predict(values, raw_score=True), wanted, atol=1e-9)


def test_all_rows_are_fitted(table: pa.Table) -> None:
    """The served model is fitted on the newest rows too: their labels change it, but not its rounds or calibration."""
    small, parameters = table.slice(0, 1000).sort_by("timestamp"), Parameters(form="tables", rounds=3, folds=2, bags=1)
    plain = small.drop_columns(["abuse_type", "abuse_confidence", "difficulty_tier"])
    turned = pc.if_else(pa.array(np.arange(1000) >= 900), pc.invert(plain["is_abuse"]), plain["is_abuse"])
    other = plain.set_column(plain.column_names.index("is_abuse"), "is_abuse", turned)
    first, second = train(plain, parameters).bundle, train(other, parameters).bundle
    assert first.calibration == second.calibration
    assert first.learned.dump() != second.learned.dump()


def test_folds_are_parts_of_time_with_both_labels() -> None:
    """Folds follow one another in time; if one would have one label only, rows are assigned to folds in turn instead."""
    even = np.arange(100) % 4 == 0
    assert folds_in_time(even.astype(float), 4).tolist() == np.repeat(np.arange(4), 25).tolist()
    late = (np.arange(100) >= 90).astype(float)
    folds = folds_in_time(late, 4)
    assert all(0 < late[folds == fold].sum() < (folds == fold).sum() for fold in range(4))


def test_one_bad_part_of_time_does_not_stop_the_others() -> None:
    """The number of rounds is that of the typical fold."""
    good = np.concatenate([np.linspace(1, 0.5, 80), np.linspace(0.5, 0.6, 20)])
    bad = np.concatenate([[1.0, 0.9], np.linspace(0.9, 9, 98)])
    assert int(typical_loss(np.stack([good, good, bad], axis=1).tolist()).argmin()) in (79, 80)


def test_rare_and_unseen_texts_have_the_mean() -> None:
    """A text with few rows, or none, is read as the mean rate, for a table and for a message; an absent one is unknown."""
    ranking = fit_ranking(TableColumns(pa.table({"shop": ["a"] * 8 + ["b"] * 2 + [None]})), "shop", _LABELS, at_least=5)
    operation = Ranked("shop", ranking)
    shown = operation.column(TableColumns(pa.table({"shop": ["a", "b", "new", None]}))).tolist()
    mean = float(_LABELS.mean())
    assert shown[0] == (6 + 30 * mean) / 38
    assert shown[1:3] == [mean, mean]
    assert np.isnan(shown[3])
    single = [operation.value({"shop": text}) for text in ("a", "b", "new")]
    assert single == shown[:3]
    assert np.isnan(operation.value({}))


def test_rare_values_are_reported() -> None:
    """Each text column reports how many of its values have too few rows for a rate of their own."""
    orders = pa.table({"shop": ["a"] * 8 + ["b"] * 2 + [None]})
    fitted = Preprocessor(extra_categorical=("shop",)).fit(orders, _LABELS)
    assert list(fitted.warnings(orders)) == [
        "shop: 1 of 2 values have fewer than 5 rows (2 of 11 rows); they count as unseen values"
    ]


def test_rates_are_out_of_fold() -> None:
    """The rate that a row of a rare text is fitted on excludes the labels of its own fold."""
    columns = TableColumns(pa.table({"shop": ["a"] * 40}))
    folds, is_abuse = np.arange(40) // 10, (np.arange(40) < 10).astype(float)
    rates = out_of_fold(columns, "shop", is_abuse, folds, at_least=5, counted=40)
    assert rates[0] == (0 + 30 * 0.25) / 60  # all abuse is in its own fold
    assert rates[39] == (10 + 30 * 0.25) / 60


def test_deeper_trees_are_refused() -> None:
    """Trees that need three features on one path do not fit tables of two: an error, not a wrong score."""
    import lightgbm as lgb

    rng = np.random.default_rng(0)
    rows = rng.random((500, 4))
    kinds = (rows.sum(axis=1) > 2).astype(int)
    fitted = lgb.LGBMClassifier(objective="multiclass", num_class=2, n_estimators=3, num_leaves=12, verbose=-1)
    with pytest.raises(ValueError, match="deeper than 2"):
        terms_of(fitted.fit(rows, kinds).booster_, 2, 4, rows)


def test_the_model_is_good_and_calibrated(model: Bundle) -> None:
    """On the held-out part of 20,000 rows the model comes near the limit, and its scores are probabilities."""
    metrics = model.metadata.metrics
    assert metrics["roc_auc"] > 0.955
    assert -0.002 < metrics["regret_roc_auc"] < 0.015  # no model beats the exact posterior by more than noise
    assert metrics["ece"] < 0.025
    assert metrics["sparse_ece"] < 0.04


def test_training_is_reproducible(table: pa.Table) -> None:
    """The same data and seed give the same model bytes, another seed others."""
    small, parameters = table.slice(0, 500), Parameters(form="tables", rounds=3, bags=2)
    first, second = train(small, parameters), train(small, parameters)
    assert first.bundle.files() == second.bundle.files()
    assert first.notebook_files["model.txt"] == second.notebook_files["model.txt"]
    other = train(small, replace(parameters, seed=7))
    assert other.notebook_files["model.txt"] != first.notebook_files["model.txt"]


def test_training_without_types_works(table: pa.Table) -> None:
    """A file with only abuse or not trains a model of two classes."""
    plain = table.slice(0, 1500).drop_columns(["abuse_type", "abuse_confidence", "difficulty_tier"])
    trained = train(plain, Parameters(form="tables", rounds=10, folds=2, bags=1))
    assert trained.bundle.log_odds.classes == ("legitimate", "abuse")
    assert trained.bundle.metadata.metrics["roc_auc"] > 0.85


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: table.slice(0, 50), "too few"),
        (lambda table: table.drop_columns(["is_abuse"]), "is_abuse is missing"),
        (lambda table: table.filter(table.column("is_abuse")), "contains only abuse"),
    ],
)
def test_unusable_tables_are_refused(table: pa.Table, spoil: object, words: str) -> None:
    """A table that no model can be trained on is an error with the reason."""
    with pytest.raises(TrainingError, match=words):
        train(spoil(table.slice(0, 2000)), Parameters(form="tables", rounds=5))  # type: ignore[operator]


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=12, unique=True), st.floats(-40, 40), st.floats(-40, 40))
def test_calibration_never_turns_an_order_around(points: list[float], low: float, high: float) -> None:
    """A higher raw score never gets a lower probability, for one order and for many."""
    raw = tuple(sorted(points))
    if any(b - a < 1e-6 for a, b in itertools.pairwise(raw)):
        return
    curve = Calibration(raw, tuple(0.5 * value for value in raw))
    low, high = sorted((low, high))
    assert curve.score(low) <= curve.score(high) + 1e-12
    assert curve.score(low) == pytest.approx(float(curve.scores(np.array([low]))[0]), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.floats(-4, 4))
@settings(max_examples=25)
def test_calibration_makes_no_ties(seed: int, abuse: int, bend: float) -> None:
    """For any scores and few frauds, no segment is flatter than LEAST_SLOPE."""
    rng = np.random.default_rng(seed)
    legitimate = np.ones(6000)
    legitimate[:abuse] = 0
    raw = np.clip(rng.normal(3, 3, 6000) + bend * legitimate, -30, 30)
    curve = fit_calibration(raw, legitimate)
    slopes = np.diff(curve.true) / np.diff(curve.raw)
    assert np.all(slopes >= MIN_SLOPE * 0.999)


def test_calibration_corrects_wrong_probabilities() -> None:
    """Scores that are twice too confident are probabilities after calibration."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 40_000)
    outcome = (rng.random(40_000) < 1 / (1 + np.exp(-true))).astype(float)
    curve = fit_calibration(2 * true, outcome)
    before = expected_calibration_error(1 / (1 + np.exp(-2 * true)), outcome)
    after = expected_calibration_error(curve.scores(2 * true), outcome)
    assert before > 0.05
    assert after < 0.01


def test_an_extra_may_be_named_like_a_feature() -> None:
    """A shop's own column with the name of a feature is read beside it, under its own name."""
    features = FeatureSet({name: {} for name in RANKED}, Extra(("hour_of_day",)))
    assert features.names.count("hour_of_day") == 1 and features.names[-1] == "extra_hour_of_day"
    order = Transaction(extra_numbers={"hour_of_day": 77.0})
    order.timestamp.FromJsonString("2026-01-01T05:00:00Z")
    vector = dict(zip(features.names, features.vector(order), strict=True))
    assert (vector["hour_of_day"], vector["extra_hour_of_day"]) == (5.0, 77.0)
