"""`make bench-model`: features and model in one process without a server: one message, many rows, explanations,
loading.

Uses the default model, one of the other form, and a generated dataset; everything runs on one core. Figures without a
form in their name are those of the default model.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.harness.options import models_by_form, parser
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.table_columns import TableColumns
from ml_server.registry.bundle import TABLES, TREES, form_name
from ml_server.registry.store import load
from ml_server.serving.scorer import FULL, NONE, Scorer
from testing.reports.results import entry, write
from testing.servers.launching import run

ROUNDS, ONE, ROWS = 5, 1000, 20_000
HEAVY = ("pandas", "sklearn", "pyarrow", "lightgbm")  # what serving must not import
_LOAD = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from ml_server.registry.store import load
imported = time.perf_counter()
load(Path(sys.argv[1]))
print(imported - started, time.perf_counter() - imported, any(name in sys.modules for name in sys.argv[2:]))
"""


def microseconds(work: Callable[[Transaction], object], orders: list[Transaction]) -> np.ndarray:
    """Return the time of each call, shape (orders,)."""
    times = np.empty(len(orders))
    for number, order in enumerate(orders):
        started = time.perf_counter()
        work(order)
        times[number] = (time.perf_counter() - started) * 1e6
    return times


def rate(work: Callable[[], object], rows: int) -> float:
    """Return rows per second of one call."""
    return rows / seconds_of(work)


def seconds_of(work: Callable[[], object]) -> float:
    """Return the time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _p50(scorer: Scorer, orders: list[Transaction], level: int) -> float:
    return float(np.median(microseconds(lambda order: scorer.predict(order, level), orders)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all rounds, interleaved, and write the results; return the exit code."""
    options = parser("bench.model", "Features and model in one process.").parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        return _measure(*models_by_form(options, Path(folder)), Path(folder), short=options.short)


def _measure(models: Path, by_form: Mapping[str, Path], folder: Path, *, short: bool) -> int:
    import lightgbm as lgb

    rounds, row_count = (1, 300) if short else (ROUNDS, ROWS)
    model = load(models)
    path = folder / "rows.parquet"
    done = run("-m", "data_gen", "--size", str(row_count), "--output", str(path), "--no-validate")
    assert done.returncode == 0, done.stderr
    table = read_table(path)
    orders = list(messages(table.slice(0, 20 if short else ONE)))
    scorers = {form: Scorer(load(folder)) for form, folder in by_form.items()}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    python = lgb.Booster(model_str=(models / "current" / "model.txt").read_text())
    matrix = model.features.matrix(TableColumns(table))
    figures: dict[str, list[float]] = {}

    def record(name: str, value: float, baseline: float = 1.0) -> None:
        figures.setdefault(name, []).append(value / baseline)

    for own in scorers.values():
        microseconds(own.predict, orders[:500])
    for _ in range(rounds):
        for name, level in (("predict", NONE), ("explain", FULL)):
            for form, own in scorers.items():
                times = microseconds(lambda order: own.predict(order, level), orders)  # noqa: B023
                record(f"{form}_{name}_p50", float(np.percentile(times, 50)))
                record(f"{form}_{name}_p99", float(np.percentile(times, 99)))
            record(f"{name}_trees_vs_tables", *(figures[f"{form}_{name}_p50"][-1] for form in (TREES, TABLES)))
        for form, own in scorers.items():
            ready = own.bundle.features.matrix(TableColumns(table))
            record(f"{form}_bulk", rate(lambda: own.bundle.form.scores(ready), row_count))  # noqa: B023
            record(f"{form}_load", seconds_of(lambda: Scorer(load(by_form[form]))))  # noqa: B023
        record("features_p50", float(np.percentile(microseconds(model.features.vector, orders), 50)))
        columns = rate(lambda: model.features.matrix(TableColumns(table)), row_count)
        record("features_columns", 1e6 / columns)
        ours = rate(lambda: model.form.scores(model.features.matrix(TableColumns(table))), row_count)
        record("bulk", ours)
        record("bulk_vs_booster", ours / rate(lambda: python.predict(matrix, num_threads=1), row_count))
        loaded = subprocess.run(
            [sys.executable, "-c", _LOAD, str(models), *HEAVY], capture_output=True, text=True, check=True
        )
        imports, seconds, heavy = loaded.stdout.split()
        assert heavy == "False", "loading a model imports a heavy library"
        record("load_imports", float(imports))
        record("load", float(seconds))
    units = {
        "bulk": "rows/s",
        **{f"{form}_bulk": "rows/s" for form in by_form},
        **{f"{form}_load": "s" for form in by_form},
        "predict_trees_vs_tables": "ratio",
        "explain_trees_vs_tables": "ratio",
        "bulk_vs_booster": "ratio",
        "load": "s",
        "load_imports": "s",
        "features_columns": "us/row",
    }
    write("model", {name: entry(values, units.get(name, "us")) for name, values in figures.items()}, short=short)
    form, classes = form_name(model.learned), len(model.log_odds.classes)
    print(f"model {model.version}, form {form}, {model.metadata.rounds} rounds of {classes} classes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
