"""The data scientist's commands: train, evaluate, models, score, and foreign data."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml_server.artifacts import load
from ml_server.costs import Prices, cheapest, cost_of
from ml_server.mapping import MappingError, Report, apply, read_mapping
from ml_server.scorer import Scorer
from ml_server.soft import class_weights
from ml_server.training import Parameters, prior_shift, train
from runtime.messages import messages
from runtime.tables import TableError, read_table
from tests.processes import call


def test_bulk_scores_are_those_of_the_service(models: Path, dataset: Path, tmp_path: Path) -> None:
    """`vouch score` gives every order, in order, the score that the service would give, as CSV and Parquet."""
    scorer = Scorer(load(models))
    wanted = [scorer.predict(order).legitimacy_score for order in messages(read_table(dataset).slice(0, 200))]
    for name in ("scores.csv", "scores.parquet"):
        done = call("score", str(dataset), "--output", str(tmp_path / name), "--models-dir", str(models))
        assert done.returncode == 0, done.stderr
        frame = pd.read_csv(tmp_path / name) if name.endswith("csv") else pd.read_parquet(tmp_path / name)
        assert len(frame) == 20_000
        np.testing.assert_allclose(frame.legitimacy_score[:200], wanted, atol=1e-9)
        types = frame.fake_account_score + frame.account_takeover_score + frame.payment_fraud_score
        np.testing.assert_allclose(types + frame.legitimacy_score, 1, atol=1e-9)


def test_evaluate_tells_figures_and_costs(models: Path, dataset: Path, tmp_path: Path) -> None:
    """Figures with intervals, the exact limit beside them, kinds, costs, and a complete page."""
    page = tmp_path / "report.html"
    arguments = ["--dataset", str(dataset), "--models-dir", str(models), "--report", str(page)]
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
    assert (missing.returncode, "holds no version none" in missing.stderr) == (2, True)


def test_models_are_listed_and_promoted(models: Path, dataset: Path, tmp_path: Path) -> None:
    """A second model is kept beside the first; promoting makes it current; a broken one is refused."""
    folder = tmp_path / "models"
    shutil.copytree(models, folder, symlinks=True)
    first = (folder / "current").resolve().name
    small = tmp_path / "small.csv"
    small.write_text("".join(dataset.read_text().splitlines(keepends=True)[:3001]))
    done = call("train", "--dataset", str(small), "--models-dir", str(folder))
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
    assert (refused.returncode, "model.txt was changed" in refused.stderr) == (2, True)
    assert load(folder).version == second


def test_thresholds_cost_what_they_cost() -> None:
    """A hand-made case costs what one adds up by hand, and the cheapest thresholds cost no more than the documented."""
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
    calibration = json.loads(
        train(table.slice(0, 3000), Parameters(rounds=10, prevalence=0.01)).files["calibration.json"]
    )
    assert calibration["prior_shift"] > 3


def test_soft_weights_sum_to_the_label(table: pa.Table) -> None:
    """Each row's class weights sum to 1, and those of abuse to the soft label; training on it works."""
    from ml_server.classes import Classes

    classes = Classes(("legitimate", "fake_account", "payment_fraud"))
    weights = class_weights(np.random.default_rng(0).normal(size=(50, 3)), np.linspace(0, 1, 50), classes)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights[:, 1:].sum(axis=1), np.linspace(0, 1, 50))
    soft = train(table.slice(0, 6000), Parameters(rounds=60, target="soft"))
    assert soft.metrics["roc_auc"] > 0.9


FOREIGN = """order,placed,cents,dev,chargeback,v1,shop,card_ok,currency
a,13/02/2025 10:00,1250,PC,N,0.5,x,yes,EUR
b,14/02/2025 11:00,99900,Phone,Y,1.5,y,no,EUR
c,15/02/2025 11:00,oops,Fridge,N,bad,x,maybe,EUR
"""
MAPPING = """
columns:
  transaction_id: order
  timestamp: {from: placed, format: "%d/%m/%Y %H:%M"}
  order_amount: {from: cents, scale: 0.01}
  device_type: {from: dev, values: {PC: desktop, Phone: mobile}}
  email_verified: card_ok
label: {from: chargeback, abuse: "Y"}
extra: {numeric: [v1], categorical: [shop]}
"""


def mapped(tmp_path: Path, mapping: str = MAPPING, data: str = FOREIGN) -> tuple[pa.Table, Report]:
    """The foreign data through a mapping."""
    (tmp_path / "m.yaml").write_text(mapping)
    (tmp_path / "d.csv").write_text(data)
    report = Report()
    return apply(read_mapping(tmp_path / "m.yaml"), pd.read_csv(tmp_path / "d.csv", dtype="string"), report), report


def test_foreign_columns_become_fields(tmp_path: Path) -> None:
    """Names, units, dates, values and labels are mapped; what cannot be read is unknown, and counted by column."""
    table, report = mapped(tmp_path)
    rows = table.to_pydict()
    assert rows["order_amount"] == [12.5, 999.0, None]
    assert rows["device_type"] == ["desktop", "mobile", None]
    assert str(rows["timestamp"][0]) == "2025-02-13 10:00:00"
    assert rows["is_abuse"] == [False, True, False]
    assert rows["email_verified"] == [True, False, None]
    assert rows["v1"] == [0.5, 1.5, None]
    said = "\n".join(report.lines)
    for words in (
        "cents: 1 of 3",
        "dev: 1 of 3",
        "card_ok: 1 of 3",
        "v1: 1 of 3",
        "user_id: 3 of 3",
        "currency: has the name",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("columns:", "colums:"), "it needs an entry `columns`"),
        (("order_amount:", "order_sum:"), "order_sum is no field"),
        (("scale: 0.01", "factor: 2"), "order_amount.factor: there is no such entry"),
        (("timestamp:", "account_created_date:"), "timestamp must be mapped"),
        (("numeric: [v1]", "numeric: [user_agent]"), "extra column user_agent has the name of a field"),
        (("columns:", "{"), "m.yaml"),
    ],
)
def test_wrong_mappings_are_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """A mapping that cannot be used is an error that names the entry."""
    with pytest.raises(MappingError) as caught:
        mapped(tmp_path, MAPPING.replace(*change, 1))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("order,placed", "id,placed"), "column order is missing"),
        (("13/02/2025 10:00", "soon"), "column placed: 1 values cannot be a timestamp"),
        (("N,0.5", "Q,0.5"), "has 3 values, wanted two"),
        (("N,0.5", ",0.5"), "1 values are empty"),
    ],
)
def test_unusable_foreign_data_is_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """Data that the mapping does not fit is an error with the column and the count."""
    with pytest.raises(TableError) as caught:
        mapped(tmp_path, data=FOREIGN.replace(*change, 1))
    assert words in str(caught.value)


def test_foreign_data_trains_and_scores(table: pa.Table, tmp_path: Path) -> None:
    """A foreign file with an extra column that tells trains by its mapping, uses the column, and is scored by it."""
    frame = table.slice(0, 4000).to_pandas()
    rng = np.random.default_rng(0)
    foreign = pd.DataFrame(
        {
            "when": (frame.timestamp - pd.Timestamp("2024-12-01")).dt.total_seconds(),
            "amount": frame.order_amount,
            "secret": frame.is_abuse * 1.0 + rng.normal(0, 0.7, len(frame)),
            "bad": frame.is_abuse.map({True: "yes", False: "no"}),
        }
    )
    foreign.to_csv(tmp_path / "foreign.csv", index=False)
    (tmp_path / "m.yaml").write_text(
        "columns:\n  timestamp: {from: when, unit: s, since: 2024-12-01}\n  order_amount: amount\n"
        'label: {from: bad, abuse: "yes"}\nextra: {numeric: [secret]}\n'
    )
    common = ["--mapping", str(tmp_path / "m.yaml"), "--models-dir", str(tmp_path / "models")]
    done = call("train", "--dataset", str(tmp_path / "foreign.csv"), *common)
    assert done.returncode == 0, done.stderr
    metadata = json.loads((tmp_path / "models/current/metadata.json").read_text())
    assert metadata["classes"] == ["legitimate", "abuse"]
    assert max(metadata["importance"], key=metadata["importance"].get) == "secret"
    done = call("score", str(tmp_path / "foreign.csv"), "--output", str(tmp_path / "s.csv"), *common)
    assert done.returncode == 0, done.stderr
    scores = pd.read_csv(tmp_path / "s.csv").legitimacy_score
    assert scores[frame.is_abuse].mean() < scores[~frame.is_abuse].mean() - 0.2
    done = call("evaluate", "--dataset", str(tmp_path / "foreign.csv"), *common)
    assert done.returncode == 0, done.stderr
