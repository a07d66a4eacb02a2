"""Features, training, artifacts and explanations."""

import itertools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_server.additive import Additive
from ml_server.artifacts import ArtifactError, Model, load, promote, versions
from ml_server.calibration import Calibration, expected_calibration_error, fit_calibration
from ml_server.classes import Classes
from ml_server.collapse import collapse
from ml_server.columns import Columns
from ml_server.examples import check
from ml_server.features import FeatureSet
from ml_server.knockout import knock_out
from ml_server.operations import DISPOSABLE, FREE, PRIVATE, is_bot, mail_kind
from ml_server.scorer import Scorer
from ml_server.terms import Terms
from ml_server.training import Parameters, TrainingError, train
from runtime.contract import FIELDS
from runtime.messages import messages
from tests.orders import message


def test_columns_and_messages_give_the_same_features(table: pa.Table, model: Model) -> None:
    """Ten thousand rows with fields knocked out, through both ways: equal to the last bit."""
    sparse = knock_out(table.slice(0, 10_000), np.random.default_rng(1))
    by_columns = model.features.matrix(Columns(sparse))
    by_message = np.array([model.features.vector(order) for order in messages(sparse)])
    np.testing.assert_array_equal(by_columns, by_message)


def test_every_feature_explains_itself(table: pa.Table, model: Model) -> None:
    """Every feature has a sentence for every value it takes, with nothing left to fill in."""
    for order in messages(table.slice(0, 200)):
        fields = {descriptor.name: value for descriptor, value in order.ListFields()}
        for feature, value in zip(model.features.features, model.features.vector(order), strict=True):
            sentence = feature.explain(value, fields)
            assert sentence
            assert "{" not in sentence
            assert all(name in FIELDS for name in feature.operation.inputs)


def test_the_example_is_explained_as_documented(model: Model) -> None:
    """The documented order is called disposable mail by a reason in words."""
    response = Scorer(model).predict(message(), explain=True)
    assert "e-mail domain tempmail.net is a disposable one" in [reason.sentence for reason in response.reasons]
    assert response.legitimacy_score < 0.4
    assert response.abuse_type_scores.fake_account > response.abuse_type_scores.payment_fraud


def test_contributions_add_up(table: pa.Table, model: Model) -> None:
    """Base value and contributions sum to the raw score within 1e-6, by feature and by group, and to the answer."""
    scorer = Scorer(model)
    for order in messages(table.slice(0, 100)):
        response = scorer.predict(order, explain=True)
        explanation = response.explanation
        whole = explanation.base_value + sum(explanation.contributions.values())
        groups = explanation.base_value + sum(each.contribution for each in explanation.groups)
        assert whole == pytest.approx(explanation.raw_score, abs=1e-6)
        assert groups == pytest.approx(explanation.raw_score, abs=1e-6)
        score = model.calibration.score(explanation.raw_score, model.prior_shift)
        assert response.legitimacy_score == pytest.approx(score, abs=1e-9)


def test_type_scores_and_score_sum_to_one(table: pa.Table, model: Model) -> None:
    """The probabilities of the abuse types and of a legitimate order sum to 1."""
    scorer = Scorer(model)
    for order in messages(table.slice(0, 100)):
        response = scorer.predict(order)
        types = response.abuse_type_scores
        total = response.legitimacy_score + types.fake_account + types.account_takeover + types.payment_fraud
        assert total == pytest.approx(1, abs=1e-9)
        assert (response.prediction == 1) == (response.legitimacy_score >= 0.5)
        assert response.confidence == max(response.legitimacy_score, 1 - response.legitimacy_score)


def test_terms_are_the_trees(table: pa.Table, models: Path, model: Model) -> None:
    """Serving's tables and the notebook's LightGBM model give the same scores, for one order, for many, and sparse ones."""
    import joblib

    folder = models / "current"
    sparse = knock_out(table.slice(0, 1500), np.random.default_rng(3))
    matrix = joblib.load(folder / "preprocessor.joblib").transform(pa.concat_tables([table.slice(0, 500), sparse]))
    wanted = joblib.load(folder / "fraud_model.joblib").predict(matrix, raw_score=True)
    np.testing.assert_allclose(model.additive.many(matrix), wanted, atol=1e-9)
    np.testing.assert_allclose([model.additive.one(row) for row in matrix.tolist()], wanted, atol=1e-9)


def test_earnings_add_up_by_class(table: pa.Table, model: Model) -> None:
    """What the features earn for one class is its score less the base, by one and by many alike."""
    matrix = model.features.matrix(Columns(table.slice(0, 300)))
    scores = model.additive.many(matrix)
    for place in range(model.additive.classes):
        only = np.eye(model.additive.classes)[place]
        found = model.additive.many_earned(matrix, np.tile(only, (300, 1)))
        np.testing.assert_allclose(found.sum(axis=1), scores[:, place] - model.additive.base[place], atol=1e-9)
        for row, wanted in zip(matrix[:20].tolist(), found, strict=False):
            np.testing.assert_allclose(model.additive.one_earned(row, only.tolist()), wanted, atol=1e-12)


def test_average_earnings_are_nothing(table: pa.Table) -> None:
    """On the rows that say what is average, each feature's earnings have the mean zero: they are distances from it."""
    small = table.slice(0, 3000)
    trained = train(small, Parameters(rounds=20, sparse_copies=0.0))
    additive = Additive(Terms.parse(trained.files["terms.npz"]))  # type: ignore[arg-type]
    features = FeatureSet(json.loads(trained.files["features.json"])["orders"])
    matrix = features.matrix(Columns(small.sort_by("timestamp").slice(0, 2100)))
    for only in np.eye(additive.classes):
        found = additive.many_earned(matrix, np.tile(only, (len(matrix), 1)))
        assert np.abs(found.mean(axis=0)).max() < 0.02
        assert np.abs(found).max() > 0.1


@given(st.lists(st.floats(-12, 12), min_size=5, max_size=5), st.lists(st.floats(-12, 12), min_size=5, max_size=5))
def test_slopes_lead_from_the_base_to_the_score(base: list[float], scores: list[float]) -> None:
    """The slopes times the way are the change of the raw log-odds; settling leaves nothing over."""
    classes = Classes(("legitimate", "suspicious_but_legitimate", "fake_account", "account_takeover", "payment_fraud"))
    slopes = classes.slopes(base, scores)
    earned = np.array([slope * (end - start) for slope, start, end in zip(slopes, base, scores, strict=True)])
    assert earned.sum() == pytest.approx(classes.raw(scores) - classes.raw(base), abs=0.2)
    assert sum(classes.settled(earned, base, scores)) == pytest.approx(classes.raw(scores), abs=1e-9)


def test_deeper_trees_are_refused() -> None:
    """Trees that ask for three features on one way are no tables of two: an error, not a wrong score."""
    import lightgbm as lgb

    rng = np.random.default_rng(0)
    rows = rng.random((500, 4))
    kinds = (rows.sum(axis=1) > 2).astype(int)
    fitted = lgb.LGBMClassifier(objective="multiclass", num_class=2, n_estimators=3, num_leaves=12, verbose=-1)
    with pytest.raises(ValueError, match="deeper than 2"):
        collapse(fitted.fit(rows, kinds).booster_.model_to_string(), 2, 4, rows)


@pytest.mark.parametrize("spoil", ["score", "curve"])
def test_a_model_that_scores_otherwise_is_refused(model: Model, spoil: str) -> None:
    """Recorded examples: a model whose tables or curve are not those of its training does not serve."""
    check(model)
    if spoil == "curve":
        other = replace(
            model, calibration=Calibration(model.calibration.raw, tuple(v + 0.1 for v in model.calibration.true))
        )
    else:
        other = replace(model, examples=[{**model.examples[0], "score": 0.123}])
    with pytest.raises(ArtifactError, match="example 1"):
        check(other)


def test_examples_hold_nothing_personal(model: Model) -> None:
    """What is recorded with a model names no person, device, address or card."""
    text = json.dumps(model.examples)
    assert len(model.examples) >= 20
    for name in ("device_id", "ip_address", "card_bin", "user_agent"):
        assert name not in text
    assert {example["transaction"]["user_id"] for example in model.examples} == {"example"}


def test_the_model_is_good_and_calibrated(model: Model) -> None:
    """On the held-out part of 20,000 rows the model comes near the limit, and its scores are probabilities."""
    metrics = model.metadata["metrics"]
    assert metrics["roc_auc"] > 0.955
    assert -0.002 < metrics["regret_roc_auc"] < 0.015  # no model beats the exact posterior by more than noise
    assert metrics["ece"] < 0.025
    assert metrics["sparse_ece"] < 0.04


def test_training_is_reproducible(table: pa.Table) -> None:
    """The same data and seed give the same model bytes, another seed others."""
    small, parameters = table.slice(0, 3000), Parameters(rounds=15)
    first, second = train(small, parameters).files, train(small, parameters).files
    for name in ("model.txt", "terms.npz", "features.json", "calibration.json", "examples.json"):
        assert first[name] == second[name], name
    assert train(small, Parameters(rounds=15, seed=7)).files["model.txt"] != first["model.txt"]


def test_training_without_types_works(table: pa.Table) -> None:
    """A file that only says abuse or not trains a model of two classes."""
    plain = table.slice(0, 3000).drop_columns(["abuse_type", "abuse_confidence", "difficulty_tier"])
    trained = train(plain, Parameters(rounds=15))
    assert trained.classes.names == ("legitimate", "abuse")
    assert trained.metrics["roc_auc"] > 0.85


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


def test_a_changed_byte_is_refused_by_name(models: Path, tmp_path: Path) -> None:
    """Any file of a model with one byte changed, missing or added: refusal to load, naming the file."""
    source = (models / "current").resolve()
    for path in sorted(source.iterdir()):
        copy = tmp_path / path.name / "models"
        shutil.copytree(source, copy / source.name)
        promote(copy, source.name)
        target = copy / source.name / path.name
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 1
        target.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"SHA256SUMS|" + path.name.replace(".", r"\.")):
            load(copy)
        target.unlink()
        with pytest.raises(ArtifactError, match=path.name.replace(".", r"\.")):
            load(copy)


def test_no_model_is_a_clear_error(tmp_path: Path) -> None:
    """A folder without a model says what to run."""
    assert versions(tmp_path) == []
    with pytest.raises(ArtifactError, match="vouch train"):
        load(tmp_path)


def test_metadata_says_where_the_model_comes_from(models: Path) -> None:
    """The metadata holds figures, data, libraries and the digest of every file."""
    metadata = json.loads((models / "current" / "metadata.json").read_text())
    assert metadata["dataset"]["rows"] == 20_000
    assert metadata["metrics"]["roc_auc"] > 0.9
    assert {"terms.npz", "model.txt", "fraud_model.joblib", "preprocessor.joblib"} <= metadata["files"].keys()
    assert "lightgbm" in metadata["libraries"]


@given(st.lists(st.floats(-30, 30), min_size=5, max_size=5))
def test_raw_scores_are_alike_in_both_forms(scores: list[float]) -> None:
    """The log-odds of one row and of many are the same."""
    classes = Classes(("legitimate", "suspicious_but_legitimate", "fake_account", "account_takeover", "payment_fraud"))
    assert classes.raw(scores) == pytest.approx(float(classes.raws(np.array([scores]))[0]), abs=1e-9)
    assert sum(classes.type_shares(scores)) == pytest.approx(1)


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


def test_mail_domains_are_told_apart() -> None:
    """Free, private and throw-away domains are known; a subdomain is its domain."""
    assert [mail_kind(name) for name in ("gmail.com", "kestrel-software.io")] == [FREE, PRIVATE]
    assert [mail_kind(name) for name in ("tempmail.net", "x.mailinator.com")] == [DISPOSABLE] * 2


def test_scripts_are_told_from_browsers() -> None:
    """User agents of scripts are bots, those of people are not."""
    assert is_bot("python-requests/2.32.3") == is_bot("Mozilla/5.0 HeadlessChrome/131.0") == 1
    assert is_bot("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0") == 0


def test_an_order_without_optional_fields_is_scored(model: Model) -> None:
    """Nothing but the three required fields still gets a probability near the base rate."""
    bare = message(account_age_days=None, email_domain=None, phone_verified=None, order_amount=None, new_device=None)
    score = Scorer(model).predict(bare).legitimacy_score
    assert 0.5 < score < 0.95
    assert not math.isnan(score)
