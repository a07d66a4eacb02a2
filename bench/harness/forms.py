"""Both forms of model compared in serving: scores, reasons, batches, and durable reviews."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.harness import load
from bench.harness.running import CLIENT, PREDICT_BATCH, SERVER, Bench, decides, on_core, start_one
from ml_server.registry.bundle import TABLES, TREES
from testing.load import capacity
from testing.servers.clients import review
from testing.waiting import wait_for

_CALLERS, _BATCHES = 16, 12


def start_forms(bench: Bench, models: Mapping[str, Path]) -> None:
    """Start a scorer, and everything in one process, with a model of each form."""
    for form, folder in models.items():
        scorer, one = f"scorer_{form}", f"one_{form}"
        bench.start(
            scorer, sys.executable, "-m", "ml_server",
            settings={
                "VOUCH_ML_LISTEN": "127.0.0.1:{port}",
                "VOUCH_ML_METRICS_LISTEN": "",
                "VOUCH_MODELS_DIR": str(folder),
            },
        )  # fmt: skip
        start_one(bench, one, SERVER, folder)
        wait_for(lambda name=scorer: bench.answers(name), 120, scorer)  # type: ignore[misc]
        wait_for(lambda name=one: decides(bench.ports[f"{name}_agent"]), 120, one)  # type: ignore[misc]


def compare_forms(bench: Bench) -> None:
    """Measure each rate with trees right after tables; record trees divided by tables."""
    rates: Mapping[str, Callable[[str], float]] = {
        "predict": lambda form: bench.rate(f"scorer_{form}", "predict"),
        "predict_reasons": lambda form: bench.rate(f"scorer_{form}", "explain", requests=bench.requests // 2),
        "predict_batch": lambda form: _batches(bench, form),
        "review": lambda form: _reviews(bench, form),
    }
    for key, rate in rates.items():
        tables, trees = (bench.record(f"{key}_{form}_rate", rate(form)) for form in (TABLES, TREES))
        bench.record(f"{key}_forest_vs_tables", trees / tables)


def _batches(bench: Bench, form: str) -> float:
    url, requests = f"http://127.0.0.1:{bench.ports[f'scorer_{form}']}{PREDICT_BATCH}", 2 if bench.short else _BATCHES
    return load.h2load(url, bench.body["batch"], load.GRPC, CLIENT, requests, clients=1, streams=1)


def _reviews(bench: Bench, form: str) -> float:
    """Return durable reviews a second by gRPC, each with a new id, in one process."""

    async def measure() -> float:
        async with review(f"127.0.0.1:{bench.ports[f'one_{form}_grpc']}") as call:
            await call()
            return await capacity(call, _CALLERS, 0.05 if bench.short else bench.seconds)

    with on_core(CLIENT):
        return asyncio.run(measure())
