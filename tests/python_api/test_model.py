"""`vouch.Model`: scikit-learn's interface over the model that the service serves."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import vouch
from contract.messages import messages
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.estimator.frames import to_orders
from ml_server.registry.store import load
from ml_server.serving.scorer import Scorer
from testing.inputs.hostile import ORDER
from vouch import Model

SMALL: dict[str, Any] = {"form": "tables", "rounds": 10}


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Labelled orders as a frame of pandas."""
    frame: pd.DataFrame = vouch.generate(1500, seed=7)
    return frame


@pytest.fixture(scope="module")
def fitted(orders: pd.DataFrame) -> Model:
    """A small model."""
    return Model.train(orders, **SMALL)


@pytest.fixture(scope="module")
def sparse(orders: pd.DataFrame) -> pd.DataFrame:
    """1,000 orders of which a third of the cells is missing, among them texts that attack."""
    frame, chance = orders.head(1000).drop(columns=["is_abuse", "abuse_type"]).copy(), np.random.default_rng(3)
    for name in frame.columns:
        if name not in ("transaction_id", "timestamp", "user_id"):
            frame[name] = frame[name].astype(object).where(chance.random(len(frame)) > 0.33)
    frame.loc[0:3, "email_domain"] = [
        "=cmd|' /C calc'!A0",
        "\u202egnp.exe",
        "x" * 128,
        "\uff2d\uff21\uff29\uff2c.example",
    ]
    frame.loc[4:6, "user_agent"] = ["<script>alert(1)</script>", "'; DROP TABLE orders; --", "\x00\x01"]
    return frame


def test_scores_are_those_of_the_service(models: Path, sparse: pd.DataFrame) -> None:
    """1,000 sparse and hostile orders: the frame's scores are those of the scorer's messages, to the bit."""
    model = Model.load(models / "current")
    scorer = Scorer(load(models))
    sent = [scorer.score(order) for order in messages(to_orders(sparse, required=()))]
    assert model.legitimacy_scores(sparse).tolist() == sent
    assert model.predict_proba(sparse)[:, 0].tolist() == sent
    assert (model.predict(sparse) == (np.array(sent) < 0.5)).all()


def test_pandas_polars_and_arrow_agree(fitted: Model, orders: pd.DataFrame) -> None:
    """The same orders as frames of three libraries have the same scores, and explanations of the same kind as the frame."""
    table = pa.Table.from_pandas(orders, preserve_index=False)
    wanted = fitted.predict_proba(orders)
    for frame in (table, polars.from_arrow(table)):
        assert (fitted.predict_proba(frame) == wanted).all()
        assert type(fitted.explain(frame[:3])) is type(frame)
    explained = fitted.explain(orders.iloc[5:8])
    assert isinstance(explained, pd.DataFrame) and list(explained.index) == [5, 6, 7]


def test_explanations_add_up(fitted: Model, orders: pd.DataFrame) -> None:
    """Contributions and base value are finite numbers, one for each feature, with reasons as sentences."""
    explained = fitted.explain(orders.head(20))
    values = explained[["base_value", *fitted.feature_names_]].to_numpy(float)
    assert np.isfinite(values).all()
    raw = values.sum(axis=1)
    assert (np.diff(explained.legitimacy_score.to_numpy()[np.argsort(raw)]) >= -1e-9).all()  # calibration is monotonous
    assert all(isinstance(reason, str) for reasons in explained.reasons for reason in reasons)
    types = fitted.abuse_type_scores(orders.head(20))
    assert np.allclose(types.sum(axis=1), 1 - explained.legitimacy_score)


def test_it_is_an_estimator(orders: pd.DataFrame) -> None:
    """It works in cross_val_score and in a Pipeline, can be cloned, and keeps its parameters as they were given."""
    model = Model(**SMALL)
    assert (cross_val_score(model, orders, orders.is_abuse, cv=2, scoring="roc_auc") > 0.8).all()
    pipeline = make_pipeline(FunctionTransformer(lambda frame: frame), clone(model)).fit(orders, orders.is_abuse)
    assert set(pipeline.predict(orders.head(50))) <= {False, True}
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError, match="not trained yet"):
        model.predict(orders)


def test_saved_models_are_loaded(fitted: Model, orders: pd.DataFrame, tmp_path: Path) -> None:
    """A saved model becomes the current one, is served as any other, and scores the same."""
    folder = fitted.save(tmp_path / "models")
    for path in (folder, tmp_path / "models", tmp_path / "models" / "current"):
        assert (Model.load(path).predict_proba(orders) == fitted.predict_proba(orders)).all()
    assert load(tmp_path / "models").version == fitted.version_
    assert Model.load(folder).get_params()["form"] == "tables"


def test_labels_of_y_count(orders: pd.DataFrame) -> None:
    """`y` replaces the labels of the frame; one that does not fit is refused."""
    model = Model(**SMALL).fit(orders, ~orders.is_abuse)
    assert model.evaluate(orders)["roc_auc"] < 0.2
    assert model.evaluate(orders, ~orders.is_abuse)["roc_auc"] > 0.8
    with pytest.raises(ValueError, match="one value for each of the 1,500 rows"):
        model.fit(orders, [True])
    with pytest.raises(ValueError, match="False and True"):
        model.fit(orders, np.full(len(orders), 2))


def test_figures_have_intervals_and_limits(fitted: Model, orders: pd.DataFrame) -> None:
    """`evaluate` gives the figures of `vouch evaluate`, each with its interval, and the limit of generated data."""
    figures = fitted.evaluate(orders)
    low, high = figures["roc_auc_interval"]
    assert low <= figures["roc_auc"] <= high
    assert "limit_roc_auc" in figures
    json.dumps(figures)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop(columns=["user_id"]), "column user_id is missing"),
        (
            lambda frame: frame.assign(order_amount=["abc", *frame.order_amount[1:]]),
            "row 0, column order_amount: 'abc'",
        ),
        (lambda frame: frame.assign(account_age_days=-1.0), "column account_age_days"),
        (lambda frame: frame.assign(device_type="fridge"), "column device_type: 'fridge'"),
        (lambda frame: frame.assign(user_id=None), "column user_id"),
    ],
)
def test_wrong_frames_are_refused(fitted: Model, orders: pd.DataFrame, change: Any, words: str) -> None:
    """A value that cannot be read is refused with its row and column: a wrong reading would be worse."""
    with pytest.raises(ValueError, match=words.replace("'", ".")):
        fitted.predict(change(orders.head(20)))


def test_unknown_columns_are_named(fitted: Model, orders: pd.DataFrame) -> None:
    """A column that is not read is named in a warning, with the column that it may have meant."""
    with pytest.warns(UserWarning, match=r"order_amont \(did you mean order_amount\?\)"):
        fitted.predict(orders.head(5).rename(columns={"order_amount": "order_amont"}))


def test_other_things_are_no_frames(fitted: Model) -> None:
    """A list is refused by its type."""
    with pytest.raises(TypeError, match="not list"):
        fitted.predict([Transaction(transaction_id=ORDER["transaction_id"])])


def test_a_mapping_reads_foreign_columns(tmp_path: Path) -> None:
    """With a mapping, a frame with the shop's own columns trains and is scored."""
    chance = np.random.default_rng(1)
    rows = 600
    fraud = chance.random(rows) < 0.3
    frame = pd.DataFrame({
        "when": pd.date_range("2025-01-01", periods=rows, freq="h").astype(str),
        "total": np.where(fraud, 900, 30) * chance.lognormal(0, 0.4, rows),
        "chargeback": np.where(fraud, "yes", "no"),
    })  # fmt: skip
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "columns:\n  timestamp: when\n  order_amount: total\nlabel: {source: chargeback, abuse: 'yes'}\n"
    )
    model = Model.train(frame, mapping=mapping, **SMALL)
    assert model.predict(frame.drop(columns="chargeback"))[fraud].mean() > 0.8


def test_models_survive_a_pickle(orders: pd.DataFrame, fitted: Model) -> None:
    """A pickled model has the same scores, parameters and files; one that is not trained stays untrained."""
    copied = pickle.loads(pickle.dumps(fitted))
    assert (copied.predict_proba(orders) == fitted.predict_proba(orders)).all()
    assert copied.get_params() == fitted.get_params() and copied._notebook_files == fitted._notebook_files
    with pytest.raises(NotFittedError):
        pickle.loads(pickle.dumps(Model(rounds=7))).predict(orders)
