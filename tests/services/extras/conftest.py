"""A model with twenty extras, and the file that it was trained on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from generated.vouch.v1.transaction_pb2 import Transaction
from testing.servers.processes import call
from tests.conftest import one_process_at_a_time

NUMBERS, TEXTS = [f"v{number}" for number in range(17)], ["shop", "Basket.kind", "kind-2"]
ROWS, ORDERS = 1000, 40


@pytest.fixture(scope="module")
def foreign(table: pa.Table, shared: Path) -> Path:
    """Return a folder with a file of twenty extra columns, its mapping, a model that reads them, and its scores."""
    folder = shared / "foreign"
    with one_process_at_a_time(shared):
        if not (folder / "scores.parquet").exists():
            folder.mkdir(exist_ok=True)
            _make_foreign(table, folder)
    return folder


def _make_foreign(table: pa.Table, folder: Path) -> None:
    frame = table.slice(0, ROWS).to_pandas()
    rng = np.random.default_rng(5)
    columns = {"id": frame.transaction_id, "when": frame.timestamp, "amount": frame.order_amount}
    for number, name in enumerate(NUMBERS):
        values = frame.is_abuse * (number % 5) + rng.normal(0, 2, ROWS)
        columns[name] = pd.Series(values).mask(rng.random(ROWS) < 0.1)
    for name in TEXTS:
        texts = np.where(frame.is_abuse & (rng.random(ROWS) < 0.4), "3", rng.choice(["a", " b", "c d", "2.5"], ROWS))
        columns[name] = pd.Series(texts).mask(rng.random(ROWS) < 0.1)
    pd.DataFrame({**columns, "bad": frame.is_abuse.astype(int)}).to_parquet(folder / "orders.parquet")
    (folder / "mapping.yaml").write_text(
        "columns: {transaction_id: id, timestamp: when, order_amount: amount}\nlabel: {from: bad, abuse: '1'}\n"
        f"extra: {{numeric: {json.dumps(NUMBERS)}, categorical: {json.dumps(TEXTS)}}}\n"
    )
    common = ("--mapping", str(folder / "mapping.yaml"), "--models-dir", str(folder / "models"))
    few = ("--form", "tables", "--rounds", "10")
    done = call("train", "--dataset", str(folder / "orders.parquet"), *common, *few)
    assert done.returncode == 0, done.stderr
    done = call("score", str(folder / "orders.parquet"), "--output", str(folder / "scores.parquet"), *common)
    assert done.returncode == 0, done.stderr


def first_orders(folder: Path) -> list[Transaction]:
    frame = pd.read_parquet(folder / "orders.parquet").head(ORDERS)
    orders = []
    for row in frame.to_dict("records"):
        order = Transaction(transaction_id=str(row["id"]), user_id="u", order_amount=float(row["amount"]))
        order.timestamp.FromDatetime(row["when"].to_pydatetime())
        order.extra_numbers.update({name: row[name] for name in NUMBERS if not pd.isna(row[name])})
        order.extra_texts.update({name: row[name] for name in TEXTS if not pd.isna(row[name])})
        orders.append(order)
    return orders
