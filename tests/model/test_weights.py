"""Weights of labels: a row that stands for several orders counts as they would."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.fields import LABEL_WEIGHT
from contract.messages import messages
from contract.prices import Prices
from ml_server.data.datasets import combine
from ml_server.evaluation.costs import cost_of
from ml_server.evaluation.figures import figures
from ml_server.evaluation.paired import interval, log_loss_interval
from ml_server.training.fitting.fit_calibration import fit_calibration
from ml_server.training.labels import TrainingError, abuse_of, prior_shift, weights_of
from ml_server.training.parameters import Parameters
from ml_server.training.split import split_in_time
from ml_server.training.train import train
from testing.servers.processes import call

RNG_SEED = 3


def weighted_sample(rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores, labels and whole weights from 1 to 4."""
    rng = np.random.default_rng(RNG_SEED)
    scores = rng.random(rows)
    return scores, (rng.random(rows) > scores).astype(float), rng.integers(1, 5, rows)


def test_figures_count_a_row_as_often_as_its_weight() -> None:
    """Figures and costs with weights equal those of rows repeated as often."""
    scores, abuse, weights = weighted_sample()
    many = [np.repeat(values, weights) for values in (scores, abuse)]
    weighted, repeated = figures(scores, abuse, weights.astype(float)), figures(*many)
    del weighted["rows"], repeated["rows"]
    assert weighted == pytest.approx(repeated, abs=1e-9)
    amounts, prices = np.full(len(scores), 80.0), Prices()
    by_weight = cost_of(0.7, 0.4, scores, abuse, amounts, prices, weights.astype(float))
    by_rows = cost_of(0.7, 0.4, many[0], many[1], np.repeat(amounts, weights), prices)
    assert by_weight.per_order == pytest.approx(by_rows.per_order)
    assert by_weight.missed_share == pytest.approx(by_rows.missed_share)


def test_calibration_counts_a_row_as_often_as_its_weight() -> None:
    """The curve of weighted rows equals that of repeated ones, up to the pull towards the stated rate."""
    scores, abuse, weights = weighted_sample(10_000)
    raw, folds = 2 * np.log(scores / (1 - scores)), np.arange(len(scores)) % 5
    weighted = fit_calibration(raw, 1 - abuse, folds, weights / weights.mean())
    repeated = fit_calibration(np.repeat(raw, weights), np.repeat(1 - abuse, weights), np.repeat(folds, weights))
    at = np.linspace(-4, 4, 50)
    assert np.abs(weighted.scores(at) - repeated.scores(at)).max() < 0.01
    plain = fit_calibration(raw, 1 - abuse, folds)
    assert plain == fit_calibration(raw, 1 - abuse, folds, np.ones(len(raw)))


def test_an_interval_distinguishes_gains_from_noise() -> None:
    """A model that knows more is better in both figures; one compared with itself is neither."""
    scores, abuse, weights = weighted_sample()
    blurred = np.clip(1 - scores + np.random.default_rng(0).normal(0, 0.3, len(scores)), 0.01, 0.99)
    assert log_loss_interval(1 - scores, blurred, abuse, weights.astype(float))[2] < 0
    assert interval([1 - scores], [blurred], abuse, weights.astype(float))[1] > 0
    assert log_loss_interval(blurred, blurred, abuse) == (0.0, 0.0, 0.0)


def test_weights_set_the_share_of_abuse(table: pa.Table) -> None:
    """If abuse counts threefold, the stated share of abuse is that of the weighted rows; a bad weight is refused."""
    part = table.slice(0, 2000)
    abuse = np.array(part["is_abuse"].to_pylist())
    weighted = part.append_column(LABEL_WEIGHT, pa.array(np.where(abuse, 3.0, 1.0)))
    held_out = split_in_time(weighted.sort_by("timestamp"))[1]
    wanted = float(np.average(abuse_of(held_out), weights=weights_of(held_out)))
    metrics = train(weighted, Parameters(form="tables", rounds=20, folds=2, bags=1)).bundle.metadata.metrics
    assert metrics["abuse_rate"] == pytest.approx(wanted)
    assert metrics["ece"] < 0.08
    whole = float(np.average(abuse, weights=np.where(abuse, 3.0, 1.0)))
    assert prior_shift(weighted, whole) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(TrainingError, match="not above 0"):
        weights_of(part.append_column(LABEL_WEIGHT, pa.array(np.zeros(len(abuse)))))
    assert not any(order.extra_numbers for order in messages(weighted.slice(0, 10)))


def test_tables_are_joined_with_their_weights(table: pa.Table) -> None:
    """Each table keeps its weights, times that of its file; a column that only one has is unknown in the other."""
    first = table.slice(0, 5).append_column(LABEL_WEIGHT, pa.array([2.0, 2.0, None, 2.0, 2.0]))
    joined = combine([first, table.slice(5, 5).drop_columns(["device_id"])], [0.5, 3.0])
    assert joined[LABEL_WEIGHT].to_pylist() == [1.0, 1.0, 0.5, 1.0, 1.0] + [3.0] * 5
    assert joined["device_id"].null_count >= 5


def test_train_joins_datasets_and_challenges(table: pa.Table, tmp_path: Path) -> None:
    """With two files, a weight each, the new model is stored, and promoted only on request."""
    for name, part in (("one", table.slice(0, 400)), ("two", table.slice(400, 400))):
        pq.write_table(part, tmp_path / f"{name}.parquet")
    models = ("--models-dir", str(tmp_path / "models"), "--form", "tables", "--rounds", "2")
    first = call("train", "--dataset", str(tmp_path / "one.parquet"), *models)
    assert first.returncode == 0, first.stderr
    current = (tmp_path / "models" / "current").resolve()
    both = [option for name in ("one", "two") for option in ("--dataset", str(tmp_path / f"{name}.parquet"))]
    second = call("train", *both, "--weight", "1", "--weight", "2", "--challenge", *models)
    assert second.returncode == 0, second.stderr
    assert f"against {current.name}" in second.stdout and "the new model is " in second.stdout
    assert (tmp_path / "models" / "current").resolve() == current
    wrong = call("train", *both, "--weight", "1", *models)
    assert wrong.returncode == 2 and "--weight needs a number" in wrong.stderr
