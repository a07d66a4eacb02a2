"""`make bench-real`: `vouch train --mapping` compared with its peers on the same rows; needs PyPI.

Each fit runs in its own process, to measure its time and memory. Vouch has five seeds, peers have PEER_SEEDS: all peers
with all seeds would take an hour on two cores.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.real.card_table import CardTable, Unreachable, fetch, run_uv, synthetic_table
from bench.real.peers import PEERS
from enrichment.rate_files import configured_money
from ml_server.data.datasets import read_dataset
from ml_server.data.mapping import Report, read_mapping
from ml_server.evaluation.figures import figures
from ml_server.evaluation.paired import interval
from ml_server.features.sources import Numbers
from ml_server.registry.store import load
from ml_server.registry.table_scores import legitimacy
from testing.reports.results import entry, write
from testing.servers.launching import launch

OURS, SEEDS, PEER_SEEDS = "vouch", 5, 2
PACKAGES = (
    "lightgbm==4.7.0", "xgboost==3.2.0", "catboost==1.2.10", "scikit-learn>=1.7", "interpret-core==0.7.8", "numpy",
    "pandas", "joblib",
)  # fmt: skip
SHOWN = {"pr_auc": "AP", "roc_auc": "AUC", "recall_at_0.01_fpr": "recall", "log_loss": "log-loss", "ece": "ECE"}


_PEERS_HERE = ("lightgbm", "logistic_regression")
"""Peers whose libraries are dependencies of this project."""


@dataclass(frozen=True)
class Fit:
    """One fit: P(abuse) of the rows to measure on, and its cost."""

    scores: Numbers
    seconds: float
    megabytes: float


def peers_python(folder: Path) -> str:
    """Create an environment with only the peers; return its Python."""
    run_uv("venv", "--quiet", "--python", sys.executable, str(folder / "peers"))
    python = str(folder / "peers/bin/python")
    run_uv("pip", "install", "--quiet", "--python", python, *PACKAGES)
    return python


def measure_cost(command: Sequence[str]) -> tuple[float, float]:
    """Return the wall-clock seconds and peak megabytes of a command that must succeed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
    with tempfile.TemporaryFile() as output:
        begun, peak = time.monotonic(), 0.0
        process = launch(command, stdout=output.fileno(), stderr=output.fileno(), env=environment)
        while process.poll() is None:
            peak = max(peak, megabytes(process.pid))
            time.sleep(0.1)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{command[:4]} failed: {output.read()[-2000:].decode(errors='replace')}")
        return time.monotonic() - begun, peak


def megabytes(pid: int) -> float:
    """Return the peak memory of a process, 0 if it has ended. Not wait4's: there a child begins with its parent's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def ours(table: CardTable, seed: int, folder: Path, options: Sequence[str] = ()) -> Fit:
    """Fit a model as a user does, with only the seed and `options`."""
    models = folder / f"models-{seed}"
    cost = measure_cost([
        sys.executable, "-m", "ml_server.train_and_save", "--dataset", str(table.to_fit), "--mapping",
        str(table.mapping), "--models-dir", str(models), "--seed", str(seed), *options,
    ])  # fmt: skip
    rows = read_dataset(table.to_measure, read_mapping(table.mapping), Report(), configured_money())
    return Fit(1 - legitimacy(load(models), rows), *cost)


def theirs(name: str, table: CardTable, seed: int, folder: Path, python: str) -> Fit:
    """Fit a peer's model."""
    output, script = folder / f"{name}-{seed}.npy", Path(__file__).with_name("peers.py")
    cost = measure_cost([python, str(script), name, str(seed), str(table.arrays), str(output)])
    return Fit(np.load(output), *cost)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit all, alternating by seed, and write the results; without a network, print the reason and return 0."""
    parser = argparse.ArgumentParser(prog="bench.real", description="The model compared with its peers on real orders.")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"seeds of ours (default: {SEEDS})")
    parser.add_argument("--peer-seeds", type=int, default=PEER_SEEDS, help=f"seeds of peers (default: {PEER_SEEDS})")
    parser.add_argument(
        "--short", action="store_true", help="a synthetic table and few fits, without network or results"
    )
    options = parser.parse_args(arguments)
    peers, fewer = (PEERS, ()) if not options.short else (_PEERS_HERE, ("--rounds", "3", "--form", "tables"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            python = sys.executable if options.short else peers_python(folder)
            table = synthetic_table(folder) if options.short else fetch(folder, python)
        except Unreachable as error:
            print(f"skipped: cannot download the bench's requirements ({error})")
            return 0
        fits: dict[str, list[Fit]] = {OURS: [], **{peer: [] for peer in peers}}
        for seed in range(1, max(options.seeds, options.peer_seeds) + 1):
            for maker, done in fits.items():
                if seed > (options.seeds if maker == OURS else options.peer_seeds):
                    continue
                fit = ours(table, seed, folder, fewer) if maker == OURS else theirs(maker, table, seed, folder, python)
                done.append(fit)
                measured = figures(1 - fit.scores, table.is_abuse)
                values = ", ".join(f"{label} {measured[key]:.5g}" for key, label in SHOWN.items())
                print(f"seed {seed} {maker:24} {values}, {fit.seconds:.0f} s, {fit.megabytes:.0f} MB", flush=True)
    write("real", entries(fits, table.is_abuse), short=options.short)
    return 0


def entries(fits: dict[str, list[Fit]], is_abuse: Numbers) -> dict[str, dict[str, object]]:
    """Return all metrics of all models, over seeds; the advantage of Vouch as median, its interval as min and max."""
    result: dict[str, dict[str, object]] = {}
    for maker, done in fits.items():
        measured = [figures(1 - fit.scores, is_abuse) for fit in done]
        for key in SHOWN:
            result[f"{maker}_{key}"] = entry([one[key] for one in measured], "")
        result[f"{maker}_seconds"] = entry([fit.seconds for fit in done], "s")
        result[f"{maker}_memory"] = entry([fit.megabytes for fit in done], "MB")
        if maker != OURS:
            better, low, high = interval([f.scores for f in fits[OURS]], [f.scores for f in done], is_abuse)
            rounded = {"median": round(better, 4), "min": round(low, 4), "max": round(high, 4)}
            result[f"vouch_minus_{maker}_pr_auc"] = rounded | {"unit": ""}
    return result


if __name__ == "__main__":
    raise SystemExit(main())
