"""The data scientist's commands: train, evaluate, models, score."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import vouch
from contract.messages import messages
from contract.prices import Prices
from contract.tables import read_table
from ml_server.evaluation.costs import cheapest, cost_of
from ml_server.registry.golden_examples import parse_example
from ml_server.registry.store import load, promote, save
from ml_server.serving.scorer import Scorer
from ml_server.training.fitting.soft_labels import class_weights
from ml_server.training.labels import prior_shift
from ml_server.training.parameters import Parameters
from ml_server.training.train import train
from testing.servers.processes import call


def small_file(dataset: Path, folder: Path, rows: int) -> Path:
    """Return a file of the dataset's first rows."""
    path = folder / "part.csv"
    with dataset.open() as lines:
        path.write_text("".join(itertools.islice(lines, rows + 1)))
    return path


def test_bulk_scores_are_those_of_the_service(models: Path, dataset: Path, tmp_path: Path) -> None:
    """`vouch score` gives every order the score of the service, in order, as CSV and Parquet."""
    scorer, some = Scorer(load(models)), small_file(dataset, tmp_path, 3000)
    wanted = [scorer.predict(order).legitimacy_score for order in messages(read_table(dataset).slice(0, 200))]
    for name in ("scores.csv", "scores.parquet"):
        done = call("score", str(some), "--output", str(tmp_path / name), "--models-dir", str(models))
        assert done.returncode == 0, done.stderr
        frame = pd.read_csv(tmp_path / name) if name.endswith("csv") else pd.read_parquet(tmp_path / name)
        assert len(frame) == 3000
        np.testing.assert_allclose(frame.legitimacy_score[:200], wanted, atol=1e-9)
        types = frame.fake_account_score + frame.account_takeover_score + frame.payment_fraud_score
        np.testing.assert_allclose(types + frame.legitimacy_score, 1, atol=1e-9)


def test_evaluate_prints_figures_and_costs(models: Path, dataset: Path, tmp_path: Path) -> None:
    """The output has figures with intervals, the exact limit, kinds of abuse, costs, and a complete page."""
    page = tmp_path / "report.html"
    some = small_file(dataset, tmp_path, 2000)
    arguments = ["--dataset", str(some), "--models-dir", str(models), "--report", str(page)]
    done = call("evaluate", *arguments)
    assert done.returncode == 0, done.stderr
    for words in (
        "roc_auc",
        "pr_auc",
        "recall_at_0.001_fpr",
        "regret_roc_auc",
        "fake_account",
        "hard",
        "documented",
        "cheapest",
    ):
        assert words in done.stdout
    text = page.read_text()
    for words in ("ROC", "Calibration", "Confusion", "reviews a day", "exact posterior", "<svg"):
        assert words in text
    assert "http" not in text
    missing = call("evaluate", *arguments, "--model", "none")
    assert (missing.returncode, "has no version none" in missing.stderr) == (2, True)


def test_models_are_listed_and_promoted(small_models: Path, dataset: Path, tmp_path: Path) -> None:
    """A second model is stored beside the first; promoting makes it current; a broken one is refused."""
    folder = tmp_path / "models"
    shutil.copytree(small_models / "tables", folder, symlinks=True)
    first = (folder / "current").resolve().name
    small = small_file(dataset, tmp_path, 400)
    done = call("train", "--dataset", str(small), "--models-dir", str(folder), "--form", "tables", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    assert (folder / "current").resolve().name == first
    second = next(path.name for path in folder.iterdir() if path.name not in (first, "current"))
    listed = call("models", "--models-dir", str(folder)).stdout
    assert f"* {first}" in listed
    assert second in listed
    assert call("models", "--models-dir", str(folder), "promote", second).returncode == 0
    assert load(folder).version == second
    (folder / first / "model.txt").write_text("broken")
    refused = call("models", "--models-dir", str(folder), "promote", first)
    assert (refused.returncode, "model.txt was modified" in refused.stderr) == (2, True)
    assert load(folder).version == second


def test_thresholds_cost_what_they_cost() -> None:
    """A hand-made case has the cost summed by hand, and the cheapest thresholds cost no more than documented."""
    scores, abuse = np.array([0.9, 0.8, 0.5, 0.1, 0.2]), np.array([0.0, 1, 0, 1, 0])
    amounts = np.array([10.0, 100, 10, 50, 10])
    prices = Prices(missed_share=1.0, denied_customer=20, review=3, review_catches=1.0)
    found = cost_of(0.7, 0.4, scores, abuse, amounts, prices)
    assert found.per_order == pytest.approx((100 + 3 + 20) / 5)
    assert (found.review_share, found.missed_share) == (0.2, 0.5)
    assert found.denied_share == pytest.approx(1 / 3)
    assert cheapest(scores, abuse, amounts, prices).per_order <= found.per_order


def test_prevalence_moves_the_odds(table: pa.Table) -> None:
    """With --prevalence 0.01 the odds of abuse fall by exactly the ratio of the base rates."""
    shift = prior_shift(table, 0.01)
    rate = 0.25
    assert shift == pytest.approx(np.log(0.99 / 0.01) - np.log((1 - rate) / rate))
    models_folder = train(table.slice(0, 400), Parameters(form="tables", rounds=2, folds=2, bags=1, prevalence=0.01))
    assert models_folder.bundle.prior_shift > 3


def test_soft_weights_sum_to_the_label(table: pa.Table) -> None:
    """Each row's class weights sum to 1, and those of abuse to the soft label; training on them works."""
    from ml_server.model.log_odds import LogOdds

    classes = LogOdds(("legitimate", "fake_account", "payment_fraud"))
    weights = class_weights(np.random.default_rng(0).normal(size=(50, 3)), np.linspace(0, 1, 50), classes)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights[:, 1:].sum(axis=1), np.linspace(0, 1, 50))
    soft = train(table.slice(0, 1000), Parameters(form="tables", rounds=10, target="soft", folds=2, bags=1))
    assert soft.bundle.metadata.metrics["roc_auc"] > 0.9


def test_models_are_compared(small_models: Path, tmp_path: Path) -> None:
    """The comparison names what differs: form, figures, calibration, parameters, and examples decided differently."""
    folder = tmp_path / "models"
    shutil.copytree(small_models / "tables" / "first", folder / "first")
    other = load(small_models / "trees").with_version("second")
    parameters = dict(other.metadata.parameters) | {"prevalence": 0.01}
    save(folder, replace(other, prior_shift=3.0, metadata=replace(other.metadata, parameters=parameters)))
    promote(folder, "second", "challenger")
    done = call("models", "compare", "first", "challenger", "--models-dir", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["a"]["version"], found["b"]["version"]) == ("first", "second")
    assert (found["a"]["form"], found["b"]["form"]) == ("tables", "trees")
    assert found["parameters"]["prevalence"] == [None, 0.01] and "seed" not in found["parameters"]
    assert found["prior_shift"] == [0, 3.0] and found["largest_calibration_difference"] > 0.4
    assert found["figures"]["roc_auc"] == [
        load(folder, name).metadata.metrics["roc_auc"] for name in ("first", "second")
    ]
    scorers = [Scorer(load(folder, name)) for name in ("first", "second")]
    order, _ = parse_example(load(folder, "first").golden_examples[0])
    changed = {one["example"]: one for one in found["changed"]}
    assert changed and sum(found["moves"].values()) == found["examples"] >= len(changed)
    for one in changed.values():
        assert one["decisions"][0] != one["decisions"][1] and one["scores"][0] < one["scores"][1]
    if (name := f"A {order.transaction_id}") in changed:
        assert changed[name]["scores"] == [scorer.score(order) for scorer in scorers]
    text = call("models", "compare", "first", "second", "--models-dir", str(folder)).stdout
    for words in ("prevalence", "trees", "prior_shift", "golden examples", "-> approve"):
        assert words in text
    same = call("models", "compare", "first", "first", "--models-dir", str(folder)).stdout
    assert "no decision changes" in same and "parameters are equal" in same
    assert call("models", "compare", "first", "none", "--models-dir", str(folder)).returncode == 2


def test_the_artifact_is_the_calibrated_model(models: Path, table: pa.Table) -> None:
    """fraud_model.joblib is a classifier whose probabilities are those of the service, to the bit."""
    import joblib
    from sklearn.base import is_classifier

    classifier = joblib.load(models / "current" / "fraud_model.joblib")
    some = table.slice(0, 300)
    scorer = Scorer(load(models))
    assert is_classifier(classifier) and type(classifier) is vouch.Model
    assert classifier.predict_proba(some.drop_columns(["is_abuse"]))[:, 0].tolist() == [
        scorer.score(order) for order in messages(some)
    ]
    assert classifier.version_ == load(models).version
