"""`make bench`: the scorer compared with its foundations. Every result is a ratio to a baseline of the same run.

Servers are pinned to one core, the load to the other; five interleaved rounds, medians. Writes
bench/results/serving.json.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import mlserver
from bench.harness import load
from bench.harness.forms import compare_forms, start_forms
from bench.harness.options import model_form, models_by_form, parser
from bench.harness.running import CLIENT, PREDICT, PREDICT_BATCH, SERVER, Bench, on_core, start_all
from history.definitions import Key
from ml_server.registry.bundle import TABLES, TREES
from ml_server.registry.store import CURRENT
from testing.reports.results import entry, write
from testing.waiting import free_port, wait_for

ROUNDS = 5
ID = "transaction_id"
FORMS = (TABLES, TREES)
_KEYS = tuple(key.value for key in (Key.USER, Key.DEVICE, Key.ADDRESS))
"""Fields of an order whose past history counts, that the body of the benchmark has."""


def start_mlserver(bench: Bench, python: Path) -> None:
    """Start MLServer, whose Python is `python`, with the same model."""
    home = bench.folder / "mlserver"
    home.mkdir()
    bench.body["tensor"] = bench.folder / "tensor"
    bench.body["tensor"].write_bytes(load.frame(mlserver.request(python, bench.matrix[0].tolist())))
    port, others = free_port(), (free_port(), free_port())
    bench.start("mlserver", *mlserver.command(home, bench.models / CURRENT / "model.txt", port, others))
    bench.ports["mlserver"] = port

    def ready() -> bool:
        try:
            bench.rate("mlserver", "tensor", mlserver.PATH, 20)
        except load.LoadError:
            return False
        return True

    wait_for(ready, 120, "MLServer")


def one_round(bench: Bench, with_mlserver: bool) -> None:
    """Measure everything once, each value right after its baseline."""
    record = bench.record
    empty = record("empty_rate", bench.rate("empty", "predict"))
    predict = record("predict_rate", bench.rate("scorer", "predict"))
    record("predict_vs_empty", predict / empty)
    record("predict_vs_empty_uvloop", predict / bench.rate("empty_uvloop", "predict"))
    record("predict_vs_tuned_empty", predict / bench.rate("empty_tuned", "predict"))
    record("predict_p50_vs_empty", record("predict_p50", bench.p50("scorer")) / record("empty_p50", bench.p50("empty")))
    predict = bench.rate("scorer", "predict")
    record("metrics_cost", 1 - predict / bench.rate("unmeasured", "predict"))
    predict = bench.rate("scorer", "predict")
    record("explain_cost", 1 - bench.rate("scorer", "explain", requests=bench.requests // 4) / predict)
    if with_mlserver:
        predict = bench.rate("scorer", "predict")
        record(
            "mlserver",
            predict / record("mlserver_rate", bench.rate("mlserver", "tensor", mlserver.PATH, bench.requests // 4)),
        )
    batches = record("predict_batch_rows", _batches(bench) * bench.batch)
    record("predict_batch_vs_booster", batches / record("booster_rows", _booster(bench)))
    _rest(bench)
    # At the concurrency that the edge allows to one worker.
    direct = bench.few("scorer", PREDICT, "predict", load.GRPC)
    for name in ("edge", "edge_beside"):
        rate = bench.few(name, "/v1/transactions:predict", "canonical", load.JSON)
        record("predict_envoy_vs_grpc" if name == "edge" else "predict_envoy_on_one_core_vs_grpc", rate / direct)
    compare_forms(bench)
    both = [bench.rate(f"workers{count}", "predict", core=None) for count in (1, 2)]
    record("workers2_vs_1", both[1] / both[0])


def _rest(bench: Bench) -> None:
    """Measure REST against an echo on the same core, in one process and with a hop; reviews also on both cores."""
    body, record = bench.body["rest"], bench.record
    urls = {name: f"http://127.0.0.1:{bench.ports[name]}/api/v1/predict" for name in ("echo", "one", "bridge")}

    def predictions(url: str) -> float:
        return load.wrk(url, body, CLIENT, bench.seconds, 8, answers=bench.answers_of_rest)

    echo = record("fastapi_rate", predictions(urls["echo"]))
    for name, key in (("one", "predict_rest"), ("bridge", "predict_rest_hop")):
        rate = record(f"{key}_rate", predictions(urls[name]))
        record(f"{key}_vs_fastapi", rate / echo)
        record(
            f"{key}_unexplained_vs_fastapi",
            predictions(urls[name] + "?explain=none") / echo,
        )

    def reviews(name: str, core: int | None, anew: Sequence[str] = (ID, *_KEYS)) -> float:
        url = f"http://127.0.0.1:{bench.ports[name]}/api/v1/review"
        return load.wrk(url, body, core, bench.seconds + 1, 16, anew=anew, answers=bench.answers_of_rest)

    record("review_rest_vs_fastapi", reviews("one_agent", CLIENT) / echo)
    # As in an attack: history reads the maximum number of orders of the customer, the device and the address.
    record("review_rest_one_customer_vs_fastapi", reviews("one_agent", CLIENT, (ID,)) / echo)
    record("review_rest_rate", reviews("bridge_agent", None))
    record("review_rest_one_process_rate", reviews("one_free_agent", None))


def _batches(bench: Bench) -> float:
    url = f"http://127.0.0.1:{bench.ports['scorer']}{PREDICT_BATCH}"
    return load.h2load(url, bench.body["batch"], load.GRPC, CLIENT, 2 if bench.short else 12, clients=1, streams=1)


def _booster(bench: Bench) -> float:
    """Return rows a second of LightGBM itself, on the servers' core."""
    with on_core(SERVER):
        begun = time.perf_counter()
        for _ in range(4):
            bench.booster.predict(bench.matrix, num_threads=1)
        return 4 * len(bench.matrix) / (time.perf_counter() - begun)


def starts(bench: Bench, rounds: int) -> None:
    """Measure the time from process start to the first response, and the resident memory after a thousand responses."""
    for number in range(rounds):
        name, begun = f"cold{number}", time.monotonic()
        bench.start(
            name, sys.executable, "-m", "ml_server",
            settings={"VOUCH_ML_LISTEN": "127.0.0.1:{port}", "VOUCH_ML_METRICS_LISTEN": ""},
        )  # fmt: skip
        wait_for(lambda name=name: bench.answers(name), 60, name)  # type: ignore[misc]
        bench.record("cold_start_s", time.monotonic() - begun)
        bench.rate(name, "predict", requests=bench.requests // 4)
        pages = int(Path(f"/proc/{bench.pid}/statm").read_text().split()[1])
        bench.record("rss_mb", pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


UNITS = {
    "cold_start_s": "s", "rss_mb": "MB", "predict_p50": "us", "empty_p50": "us", "empty_rate": "requests/s",
    "predict_rate": "requests/s", "mlserver_rate": "requests/s", "fastapi_rate": "requests/s",
    "predict_rest_rate": "requests/s", "predict_rest_hop_rate": "requests/s", "review_rest_rate": "requests/s",
    "review_rest_one_process_rate": "requests/s", "predict_batch_rows": "rows/s", "booster_rows": "rows/s",
    **{f"{key}_{form}_rate": "requests/s" for key in ("predict", "predict_reasons", "review") for form in FORMS},
    **{f"predict_batch_{form}_rate": "batches/s" for form in FORMS},
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all rounds and write the results. Return 0, 1 if a part did not run, or 2 if a requirement is missing."""
    known = parser("bench.serving", "Serving against its baselines.")
    known.add_argument("--without-mlserver", action="store_true", help="do not compare with MLServer, which needs PyPI")
    options = known.parse_args(arguments)
    with_mlserver = not (options.short or options.without_mlserver)
    rounds = 1 if options.short else ROUNDS
    lacking = load.missing()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        lacking.append("two cores are needed, one for the server and one for the load")
    if with_mlserver and not lacking:
        try:
            python = mlserver.install()
        except (subprocess.CalledProcessError, OSError) as error:
            lacking.append(f"MLServer cannot be installed: {error}; --without-mlserver measures the rest")
    if lacking:
        print("\n".join(f"bench: {line}" for line in lacking), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        models, by_form = models_by_form(options, Path(folder))
        bench = Bench(Path(folder), models, short=options.short)
        try:
            start_all(bench)
            start_forms(bench, by_form)
            if with_mlserver:
                start_mlserver(bench, python)
            for number in range(rounds):
                print(f"round {number + 1} of {rounds}", flush=True)
                one_round(bench, with_mlserver)
            starts(bench, rounds)
        finally:
            bench.close()
        form = model_form(bench.models)
    if partial := [name for name, values in bench.figures.items() if len(values) < rounds]:
        print(f"bench: not measured in every round, nothing was written: {', '.join(partial)}", file=sys.stderr)
        return 1
    write(
        "serving",
        {name: entry(values, UNITS.get(name, "ratio")) for name, values in bench.figures.items()},
        short=options.short,
        model=form,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
