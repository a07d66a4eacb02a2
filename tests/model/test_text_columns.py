"""Text columns: informative values are learned, and values that training did not see get the mean."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contract.messages import messages
from ml_server.features.feature_set import Extra
from ml_server.registry.bundle import TABLES, TREES
from ml_server.registry.table_scores import legitimacy
from ml_server.serving.scorer import Scorer
from ml_server.training.fitting.binning import codes_of, rate_cuts
from ml_server.training.parameters import Parameters
from ml_server.training.train import Trained, train

EXTRA = Extra(numeric=("weight",), categorical=("kind",))


def orders_with_kind(values: int, share: float, rows: int, seed: int = 1, *, tells: bool = True) -> pa.Table:
    """Return orders with a column `kind` of `values` values; if it `tells`, each value has one label only.

    Every value has about the same number of rows per label, so that none is too rare to be learned.
    """
    rng = np.random.default_rng(seed)
    is_abuse = rng.permutation(np.arange(rows) < round(rows * share))
    bad = min(values - 1, max(1, round(values * share)))
    kinds = np.empty(rows, dtype=int)
    for own, first, count in ((is_abuse, 0, bad), (~is_abuse, bad, values - bad)):
        kinds[own] = first + rng.permutation(own.sum()) % count
    if not tells:
        kinds = rng.permutation(kinds)
    return pa.table({
        "transaction_id": [f"t{row}" for row in range(rows)],
        "timestamp": pa.array(np.datetime64("2026-01-01T00:00:00", "s") + np.arange(rows) * 600),
        "user_id": [f"u{user}" for user in rng.integers(0, 99, rows)],
        "order_amount": rng.lognormal(4, 0.6, rows).round(2),
        "weight": rng.random(rows).round(3),
        "kind": [f"k{kind}" for kind in kinds],
        "is_abuse": is_abuse,
    })  # fmt: skip


def fit_model(table: pa.Table, form: str = TABLES, rounds: int = 30, bags: int | None = None) -> Trained:
    """Return a model of few rounds."""
    return train(table, Parameters(form=form, rounds=rounds, bags=bags), EXTRA)


def with_kind(table: pa.Table, kind: str | None) -> pa.Table:
    """Return the table with one text in all rows."""
    place = table.column_names.index("kind")
    return table.set_column(place, "kind", pa.array([kind] * table.num_rows, pa.string()))


@pytest.mark.parametrize(
    ("values", "share", "rows", "form"),
    [
        (2, 0.5, 200, TABLES), (2, 0.1, 200, TABLES), (2, 0.5, 200, TREES), (3, 0.3, 500, TABLES),
        (2, 0.01, 2000, TABLES), (2, 0.02, 2000, TREES), (10, 0.1, 1000, TABLES), (50, 0.1, 2000, TABLES),
        (50, 0.02, 2500, TABLES), (100, 0.5, 2000, TABLES), (500, 0.01, 10_000, TABLES), (500, 0.5, 6000, TABLES),
        (2, 0.01, 5000, TABLES),
    ],
)  # fmt: skip
def test_an_informative_column_is_learned(values: int, share: float, rows: int, form: str) -> None:
    """If each value with ten rows or more has one label, the model ranks every abuse before every honest order."""
    trained = fit_model(orders_with_kind(values, share, rows), form)
    assert trained.bundle.metadata.metrics["roc_auc"] == 1.0


@pytest.mark.parametrize("form", [TABLES, TREES])
@pytest.mark.parametrize(("values", "share", "rows"), [(2, 0.5, 400), (3, 0.2, 1000), (20, 0.05, 2000)])
def test_unseen_and_empty_values_have_the_mean(values: int, share: float, rows: int, form: str) -> None:
    """Orders whose only informative text is unseen or empty are as probable to be abuse as the average order."""
    table = orders_with_kind(values, share, rows)
    model = fit_model(table, form, rounds=40, bags=1).bundle
    some = table.slice(0, 400)
    for kind in ("never seen", None):
        stated = float(1 - legitimacy(model, with_kind(some, kind)).mean())
        # The mean that a model without the column can know: abuse orders of the sample of copies.
        noise = 4 / np.sqrt(share * (1 - share) * min(rows, 2000))
        assert abs(_log_odds(stated) - _log_odds(share)) < noise, (kind, stated)


def _log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def test_an_unseen_value_lies_between_the_known_ones() -> None:
    """An unseen value is not read as any value that training saw, in particular not the next worse one."""
    table = orders_with_kind(2, 0.2, 1000)
    model = fit_model(table).bundle
    one = table.slice(0, 1)
    bad, held_out_rows, empty, good = (
        float(legitimacy(model, with_kind(one, kind))[0]) for kind in ("k0", "k99", None, "k1")
    )
    assert bad < held_out_rows < good
    assert bad < empty < good


@pytest.mark.parametrize("form", [TABLES, TREES])
def test_served_equals_trained_to_the_bit(form: str) -> None:
    """A message, a batch and a table give equal scores for known, rare, unseen, padded and empty values."""
    table = orders_with_kind(12, 0.2, 1000, tells=False)
    model = fit_model(table, form, rounds=10).bundle
    kinds: list[Any] = ["k0", "k11", " k3 ", "never seen", "", " ", None, "K0", "x" * 257]
    weights: list[Any] = [0.5, None, 1e9, -1.0, 0.0]
    rows = [(kind, weight) for kind in kinds for weight in weights]
    probe = table.take(pa.array(np.arange(len(rows)) * 7))
    probe = with_kind(probe, None).set_column(5, "kind", pa.array([kind for kind, _ in rows], pa.string()))
    probe = probe.set_column(4, "weight", pa.array([weight for _, weight in rows], pa.float64()))
    orders, scorer = list(messages(pa.concat_tables([probe, table.slice(0, 200)]))), Scorer(model)
    wanted = legitimacy(model, pa.concat_tables([probe, table.slice(0, 200)])).tolist()
    assert [scorer.score(order) for order in orders] == wanted
    assert [scorer.predict(order).legitimacy_score for order in orders] == wanted
    assert [answer.legitimacy_score for answer in scorer.predict_batch(orders)] == wanted
    assert len(set(wanted)) > 50


def test_a_rate_and_the_same_rate_out_of_fold_share_a_bin() -> None:
    """A cut lies between two rates, so that small changes keep the bin; the mean has its own."""
    mean, rates = 0.2, np.repeat([0.05, 0.1, 0.4, 0.8], 50)
    cuts = rate_cuts(rates, (np.arange(200) % 3 == 0).astype(float), 64, mean)
    for moved in (rates * 0.99, rates * 1.01, rates + 0.01):
        assert codes_of(moved, cuts).tolist() == codes_of(rates, cuts).tolist()
    bins = codes_of(np.array([0.05, 0.1, mean, 0.4, 0.8]), cuts).tolist()
    assert bins == sorted(set(bins))
    assert codes_of(np.array([0.15, 0.25]), cuts).tolist() == [bins[1], bins[3]]
