"""Models of deeper trees: scores, explanations and files."""

import dataclasses
import functools
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.messages import messages
from ml_server.model.bins import Floats
from ml_server.model.trees.forest import Forest
from ml_server.model.trees.from_lightgbm import forest_of
from ml_server.model.trees.nodes import Trees
from ml_server.registry.bundle import TABLES, TREES
from ml_server.registry.golden_examples import check
from ml_server.registry.store import load, save
from ml_server.serving.scorer import FULL, Scorer
from ml_server.training.fitting.gain import Costs, Gain, Interval, margin_of
from ml_server.training.fitting.merging import raw_scores
from ml_server.training.parameters import Parameters
from ml_server.training.train import train

_FEATURES = 6


def _values(seed: int, rows: int) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, _FEATURES)).round(1)
    values[rng.random(values.shape) < 0.15] = np.nan
    values[:, 5] = rng.integers(0, 3, rows)  # never unknown in training
    return values


@functools.cache
def _booster(classes: int) -> lgb.Booster:
    """Return trees over questions of several kinds; some split the same feature twice, some are a single leaf."""
    values = _values(1, 4000)
    known = np.nan_to_num(values)
    kinds = ((known[:, 0] * known[:, 1] * known[:, 2] > 0.1).astype(int) + (known[:, 3] > 1)) % classes
    several = {"objective": "multiclass", "num_class": classes}
    options = {"objective": "binary"} if classes == 2 else several
    return lgb.train(
        {**options, "num_leaves": 31, "max_depth": 6, "verbose": -1, "num_threads": 1}, lgb.Dataset(values, kinds), 25
    )


def _probes() -> Floats:
    values = _values(2, 100)
    values[:3] = np.array([[np.nan] * 6, [-1e30] * 6, [1e30] * 6])
    values[3:40, 5] = np.nan
    return values


@pytest.mark.parametrize("classes", [2, 4])
def test_a_forest_is_its_trees(classes: int) -> None:
    """The walk over bins gives LightGBM's scores, for one row and for many, also for unknown and extreme values."""
    booster = _booster(classes)
    forest, values = Forest(forest_of(booster, classes, _FEATURES)), _probes()
    scores = forest.scores(values)
    np.testing.assert_allclose(scores, raw_scores(booster.predict, values), atol=1e-8)
    assert scores.tolist() == [forest.scores_of_groups(forest.groups_of_row(row)) for row in values.tolist()]


@pytest.mark.parametrize("classes", [2, 4])
def test_contributions_are_shapley_values(classes: int) -> None:
    """The products over paths give the values of TreeSHAP, LightGBM's recursion, for each class, and the same base."""
    booster = _booster(classes)
    forest, values = Forest(forest_of(booster, classes, _FEATURES)), _probes()
    wanted = np.asarray(booster.predict(values, pred_contrib=True)).reshape(len(values), -1, _FEATURES + 1)
    for number, of_class in enumerate(range(classes - wanted.shape[1], classes)):
        only = np.tile(np.eye(classes)[of_class], (len(values), 1))
        np.testing.assert_allclose(forest.contributions(values, only), wanted[:, number, :-1], atol=1e-8)
        np.testing.assert_allclose(forest.base[of_class], wanted[0, number, -1], atol=1e-8)


@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(2, 4),
    depth=st.integers(1, 12),
    leaves=st.integers(2, 200),
    missing=st.sampled_from([0.0, 0.1, 0.6]),
)
@example(seed=1, classes=2, depth=12, leaves=200, missing=0.1)  # words of 64 bits, and more features than a table has
@example(seed=2, classes=3, depth=4, leaves=15, missing=0.1)  # as in training
@settings(max_examples=20)
def test_any_forest_equals_lightgbm(seed: int, classes: int, depth: int, leaves: int, missing: float) -> None:
    """Raw scores and contributions are LightGBM's for trees of any depth, unknown values and codes of categories.

    One order and many give the same scores, bit for bit, also for values that training never saw.
    """
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(420, 10)).round(1)
    values[:, :3] = rng.integers(0, [2, 5, 30], (420, 3))  # codes
    values[:, 3] *= rng.random(420) < 0.3  # often 0
    values[rng.random(values.shape) < missing] = np.nan
    values[:, 4] = np.nan_to_num(values[:, 4])  # never unknown in training
    fit, probes = values[:400], np.append(values[400:], np.full((1, 10), np.nan), axis=0)
    probes[:8] = rng.normal(size=(8, 10)) * 40
    probes[8:14][rng.random((6, 10)) < 0.5] = np.nan
    labels = (np.nan_to_num(fit[:, :7]).sum(axis=1) + rng.normal(size=400)).argsort().argsort() * classes // 400
    options = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    limits = {"max_depth": depth, "num_leaves": leaves, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0}
    booster = lgb.train({**options, **limits, "verbose": -1, "num_threads": 1}, lgb.Dataset(fit, labels), 3)
    forest = Forest(forest_of(booster, classes, 10))
    scores = forest.scores(probes)
    np.testing.assert_allclose(scores, raw_scores(booster.predict, probes), rtol=0, atol=1e-9)
    assert scores.tolist() == [forest.scores_of_groups(forest.groups_of_row(row)) for row in probes.tolist()]
    wanted = np.asarray(booster.predict(probes, pred_contrib=True)).reshape(len(probes), -1, 11)
    for number, of_class in enumerate(range(classes - wanted.shape[1], classes)):
        only = np.tile(np.eye(classes)[of_class], (len(probes), 1))
        np.testing.assert_allclose(forest.contributions(probes, only), wanted[:, number, :-1], rtol=0, atol=1e-8)
        np.testing.assert_allclose(forest.base[of_class], wanted[0, number, -1], rtol=0, atol=1e-8)


def test_trees_survive_their_json() -> None:
    """Trees read back from their JSON are equal, byte for byte."""
    trees = forest_of(_booster(4), 4, _FEATURES)
    content = trees.dump()
    again = Trees.parse(content)
    assert again.dump() == content and b"Infinity" not in content and b"NaN" not in content
    assert Forest(again).scores(_probes()).tolist() == Forest(trees).scores(_probes()).tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("feature", 6),
        ("feature", -2),
        ("left", 0),
        ("right", 10**6),
        ("roots", -1),
        ("class_of", 4),
        ("count", 0),
        ("value", np.inf),
    ],
)
def test_broken_trees_are_refused(name: str, value: float) -> None:
    """An array that would lead a walk out of the nodes or into a cycle is refused before it is walked."""
    trees = forest_of(_booster(4), 4, _FEATURES)
    broken = getattr(trees, name).copy()
    broken[0 if name != "value" else -1] = value
    with pytest.raises(ValueError, match=r"tree|node|leaves"):
        dataclasses.replace(trees, **{name: broken})
    with pytest.raises(ValueError, match="different lengths"):
        dataclasses.replace(trees, cut=trees.cut[:-1])


def _three_way(rows: int) -> pa.Table:
    """Return orders whose abuse depends on three fields at once, which no table of two can represent."""
    rng = np.random.default_rng(5)
    amounts, ages, counts = (rng.integers(1, 1000, rows) for _ in range(3))
    rates = np.array([0.05, 0.6, 0.5, 0.1, 0.4, 0.15, 0.1, 0.9])
    start = np.datetime64("2026-01-01T00:00:00", "us")
    return pa.table(
        {
            "transaction_id": [f"t{number}" for number in range(rows)],
            "user_id": [f"u{number % 97}" for number in range(rows)],
            "timestamp": pa.array(start + np.arange(rows) * np.timedelta64(1, "m"), pa.timestamp("us", "UTC")),
            "order_amount": amounts.astype(float),
            "account_age_days": ages,
            "total_orders_lifetime": counts,
            "is_abuse": rng.random(rows) < rates[4 * (amounts > 500) + 2 * (ages > 500) + (counts > 500)],
        }
    )


def test_training_chooses_trees_if_they_are_better(tmp_path: Path) -> None:
    """Without an option trees are chosen if they gain enough on two folds, and are served, explained and checked."""
    table, lines = _three_way(3000), list[str]()

    class LineCollector:
        def report(self, line: str) -> None:
            lines.append(line)

        def report_round(self, number: int, most: int, loss: float | None) -> None:
            pass

    parameters = Parameters(rounds=60, folds=2, bags=1, sparse_copies=0.0)
    tables = train(table, dataclasses.replace(parameters, form=TABLES), progress=LineCollector()).bundle
    assert tables.metadata.parameters["form"] == TABLES and "trees_gain" not in tables.metadata.metrics
    trained = train(table, parameters, progress=LineCollector())
    assert any(line.startswith("form: trees") for line in lines)
    assert any("fold 1" in line and "fold 2" in line for line in lines)
    assert any("tables" in line and "us" in line and "times as long" in line for line in lines)
    gains = [trained.bundle.metadata.metrics[f"trees_gain_low{fold}"] for fold in ("", "_1", "_2")]
    assert min(gains) > margin_of(300)
    save(tmp_path, trained.bundle.with_version("v1", training_date="2026-01-01T00:00:00Z"), trained.notebook_files)
    bundle = load(tmp_path)
    assert bundle.metadata.parameters["form"] == TREES and (tmp_path / "v1" / "trees.json").is_file()
    assert bundle.metadata.metrics["pr_auc"] > tables.metadata.metrics["pr_auc"] + 0.05
    scorer = Scorer(bundle)
    check(bundle, scorer.score)
    orders = list(messages(table.slice(0, 64)))
    alone = [scorer.predict(order, FULL) for order in orders]
    assert scorer.predict_batch(orders, FULL) == alone
    for answer in alone:
        explained = answer.explanation
        assert explained.base_value + sum(explained.contributions.values()) == pytest.approx(
            explained.raw_score, abs=1e-9
        )
        assert answer.reasons


_ENOUGH, _NOISE = (0.02, 0.006, 0.03), (0.0023, 0.0001, 0.0043)


@pytest.mark.parametrize(
    ("overall", "by_fold", "taken"),
    [
        (_ENOUGH, [_ENOUGH, _ENOUGH], True),
        (_ENOUGH, [_ENOUGH, _NOISE, _ENOUGH], True),
        (_NOISE, [_NOISE, _NOISE], False),  # with generated data: more than noise, but without value
        ((0.077, 0.07, 0.08), [(0.077, 0.07, 0.08)], False),  # one fold only
        (_ENOUGH, [_ENOUGH, _NOISE], False),
        (_NOISE, [_ENOUGH, _ENOUGH], False),
        ((0.006, 0.005, 0.007), [_ENOUGH, _ENOUGH], False),
    ],
)
def test_trees_are_chosen_for_a_certain_gain_only(overall: Interval, by_fold: list[Interval], taken: bool) -> None:
    """Trees need a lower bound above the margin overall and on two folds; the output has gain, folds, costs and choice."""
    gain = Gain(overall, by_fold, 0.005)
    assert gain.is_worth_it == taken
    figures, costs, form = gain.lines(Costs(100.0, 130.0))
    assert f"{overall[0]:+.4f} ({overall[1]:+.4f} to {overall[2]:+.4f})" in figures
    assert figures.count("fold ") == len(by_fold)
    assert costs == "an order takes tables 100 us and trees 130 us to score and explain, 1.3 times as long"
    assert form.startswith("form: trees" if taken else "form: tables")
