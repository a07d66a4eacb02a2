"""Training and calibration."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_server.evaluation.reliability import expected_calibration_error
from ml_server.model.calibration import Calibration
from ml_server.model.from_lightgbm import terms_of
from ml_server.registry.bundle import Bundle
from ml_server.training.field_dropout import drop_fields
from ml_server.training.fit_calibration import fit_calibration
from ml_server.training.labels import TrainingError
from ml_server.training.parameters import Parameters
from ml_server.training.train import train


def test_terms_are_the_trees(table: pa.Table, models: Path, model: Bundle) -> None:
    """Serving's tables and the notebook's LightGBM model give the same scores, for one order, for many, and sparse ones."""
    import joblib

    folder = models / "current"
    sparse = drop_fields(table.slice(0, 1500), np.random.default_rng(3))
    matrix = joblib.load(folder / "preprocessor.joblib").transform(pa.concat_tables([table.slice(0, 500), sparse]))
    wanted = joblib.load(folder / "fraud_model.joblib").predict(matrix, raw_score=True)
    np.testing.assert_allclose(model.additive.scores(matrix), wanted, atol=1e-9)
    np.testing.assert_allclose([model.additive.scores_of_one(row) for row in matrix.tolist()], wanted, atol=1e-9)


def test_deeper_trees_are_refused() -> None:
    """Trees that ask for three features on one way are no tables of two: an error, not a wrong score."""
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
    small, parameters = table.slice(0, 3000), Parameters(rounds=15)
    first, second = train(small, parameters), train(small, parameters)
    assert first.bundle.files() == second.bundle.files()
    assert first.notebook_files["model.txt"] == second.notebook_files["model.txt"]
    other = train(small, Parameters(rounds=15, seed=7))
    assert other.notebook_files["model.txt"] != first.notebook_files["model.txt"]


def test_training_without_types_works(table: pa.Table) -> None:
    """A file that only says abuse or not trains a model of two classes."""
    plain = table.slice(0, 3000).drop_columns(["abuse_type", "abuse_confidence", "difficulty_tier"])
    trained = train(plain, Parameters(rounds=15))
    assert trained.bundle.log_odds.classes == ("legitimate", "abuse")
    assert trained.bundle.metadata.metrics["roc_auc"] > 0.85


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda table: table.slice(0, 50), "too few"),
        (lambda table: table.drop_columns(["is_abuse"]), "is_abuse is missing"),
        (lambda table: table.filter(table.column("is_abuse")), "holds only abuse"),
    ],
)
def test_unusable_tables_are_refused(table: pa.Table, spoil: object, words: str) -> None:
    """A table that no model can be trained on is an error that says why."""
    with pytest.raises(TrainingError, match=words):
        train(spoil(table.slice(0, 2000)), Parameters(rounds=5))  # type: ignore[operator]


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=12, unique=True), st.floats(-40, 40), st.floats(-40, 40))
def test_calibration_never_turns_an_order_around(points: list[float], low: float, high: float) -> None:
    """A higher raw score never gets a lower probability, and one and many agree."""
    raw = tuple(sorted(points))
    if any(b - a < 1e-6 for a, b in itertools.pairwise(raw)):
        return
    curve = Calibration(raw, tuple(0.5 * value for value in raw))
    low, high = sorted((low, high))
    assert curve.score(low) <= curve.score(high) + 1e-12
    assert curve.score(low) == pytest.approx(float(curve.scores(np.array([low]))[0]), abs=1e-12)


def test_calibration_mends_wrong_probabilities() -> None:
    """Scores that are twice too sure are probabilities after calibration."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 40_000)
    outcome = (rng.random(40_000) < 1 / (1 + np.exp(-true))).astype(float)
    curve = fit_calibration(2 * true, outcome)
    before = expected_calibration_error(1 / (1 + np.exp(-2 * true)), outcome)
    after = expected_calibration_error(curve.scores(2 * true), outcome)
    assert before > 0.05
    assert after < 0.01
