"""Training warns if the newest rows have another rate of abuse than earlier ones."""

import numpy as np
import pyarrow as pa
import pytest

from ml_server.training.labels import mostly_abuse, rate_jump
from ml_server.training.parameters import Parameters
from ml_server.training.train import train


def orders(is_abuse: np.ndarray) -> pa.Table:
    """Return orders an hour apart."""
    start = np.datetime64("2026-01-01T00:00:00", "s")
    return pa.table({
        "transaction_id": [f"t{row}" for row in range(len(is_abuse))],
        "timestamp": pa.array(start + np.arange(len(is_abuse)) * 3600),
        "user_id": ["u"] * len(is_abuse),
        "order_amount": np.arange(len(is_abuse), dtype=float) % 97,
        "is_abuse": is_abuse,
    })  # fmt: skip


def labels(before: tuple[int, float], newest: tuple[int, float]) -> np.ndarray:
    """Return labels of two parts, each with a size and a share of abuse."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.permutation(np.arange(rows) < round(rows * rate)) for rows, rate in (before, newest)])


def test_new_orders_that_are_all_abuse_are_reported() -> None:
    """If the newest labels are chargebacks only, a warning has both shares, the rows and advice."""
    warning = rate_jump(orders(labels((201, 17 / 201), (10, 1.0))))
    assert warning is not None
    assert "the newest 10 of 211 rows, from 2026-01-09 on, are 100.0% abuse, those before 8.5%" in warning
    assert "--matured" in warning


@pytest.mark.parametrize(
    ("before", "newest"),
    [((9000, 0.02), (1000, 0.08)), ((9000, 0.25), (1000, 0.6)), ((9000, 0.1), (1000, 0.0)), ((800, 0.05), (200, 0.5))],
)
def test_a_jump_in_either_direction_is_reported(before: tuple[int, float], newest: tuple[int, float]) -> None:
    """The warning covers more abuse at the end, and less."""
    assert rate_jump(orders(labels(before, newest))) is not None


@pytest.mark.parametrize("rows", [200, 1000, 20_000])
@pytest.mark.parametrize("rate", [0.005, 0.05, 0.25, 0.5])
def test_no_jump_is_no_warning(rows: int, rate: float) -> None:
    """Labels in random order, and a slight increase of abuse over time, give no warning."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert rate_jump(orders(rng.random(rows) < rate)) is None
        drifting = rng.random(rows) < np.linspace(rate, rate * 1.2, rows)
        assert rate_jump(orders(drifting)) is None


def test_training_warns() -> None:
    """The warning is among the lines of training, and training continues."""
    lines: list[str] = []

    class LineCollector:
        def report(self, line: str) -> None:
            lines.append(line)

        def report_round(self, number: int, most: int, loss: float | None) -> None:
            pass

    table = orders(labels((400, 0.1), (40, 1.0)))
    place = table.column_names.index("is_abuse")
    good_at_end = np.append(table["is_abuse"].to_numpy()[:-1], False)
    train(
        table.set_column(place, "is_abuse", pa.array(good_at_end)),
        Parameters(form="tables", rounds=2),
        progress=LineCollector(),
    )
    assert [line for line in lines if line.startswith("warning:")] == [
        line for line in lines if "recent orders" in line
    ]
    assert any(line.startswith("warning:") for line in lines)


def test_a_label_the_wrong_way_round_is_a_warning() -> None:
    """More abuse than honest orders is a warning with the share; half is none."""
    assert mostly_abuse(orders(np.arange(20) < 19)) == (
        "warning: 95% of the rows are abuse; check that the label is not the wrong way round"
    )
    assert mostly_abuse(orders(np.arange(20) < 10)) is None
