"""`make bench`: the scorer against what it stands on. Every figure is a ratio in one run against its own baseline.

Servers are pinned to one core, the load to the other; five interleaved rounds, medians. Writes bench/results/serving.json.
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
from bench.harness.options import models_of, parser
from bench.harness.running import CLIENT, PREDICT, PREDICT_BATCH, SERVER, Bench, on_core, start_all
from history.definitions import Key
from ml_server.registry.store import CURRENT
from testing.reports.results import entry, write
from testing.waiting import free_port, wait_for

ROUNDS = 5
ID = "transaction_id"


def start_mlserver(bench: Bench) -> bool:
    """Start MLServer on the same model; False, with the reason told, where it cannot be had."""
    try:
        python = mlserver.install()
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"bench: MLServer cannot be installed, so it is left out: {error}", file=sys.stderr)
        return False
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
    return True


def one_round(bench: Bench, with_mlserver: bool) -> None:
    """Every figure once, each right beside its baseline."""
    keep = bench.keep
    empty = keep("empty_rate", bench.rate("empty", "predict"))
    predict = keep("predict_rate", bench.rate("scorer", "predict"))
    keep("predict_vs_empty", predict / empty)
    keep("predict_vs_empty_uvloop", predict / bench.rate("empty_uvloop", "predict"))
    keep("predict_vs_tuned_empty", predict / bench.rate("empty_tuned", "predict"))
    keep("predict_p50_vs_empty", keep("predict_p50", bench.p50("scorer")) / keep("empty_p50", bench.p50("empty")))
    predict = bench.rate("scorer", "predict")
    keep("metrics_cost", 1 - predict / bench.rate("unmeasured", "predict"))
    predict = bench.rate("scorer", "predict")
    keep("explain_cost", 1 - bench.rate("scorer", "explain", requests=bench.requests // 4) / predict)
    if with_mlserver:
        predict = bench.rate("scorer", "predict")
        keep(
            "mlserver",
            predict / keep("mlserver_rate", bench.rate("mlserver", "tensor", mlserver.PATH, bench.requests // 4)),
        )
    batches = keep("predict_batch_rows", _batches(bench) * bench.batch)
    keep("predict_batch_vs_booster", batches / keep("booster_rows", _booster(bench)))
    _rest(bench)
    # As many at once as the edge lets through to one worker.
    direct = bench.few("scorer", PREDICT, "predict", load.GRPC)
    for name in ("edge", "edge_beside"):
        rate = bench.few(name, "/v1/transactions:predict", "canonical", load.JSON)
        keep("predict_envoy_vs_grpc" if name == "edge" else "predict_envoy_on_one_core_vs_grpc", rate / direct)
    both = [bench.rate(f"workers{count}", "predict", core=None) for count in (1, 2)]
    keep("workers2_vs_1", both[1] / both[0])


def _rest(bench: Bench) -> None:
    """REST against an echo on the same core: one process, and with the hop; reviews also with everything on both cores."""
    body, keep = bench.body["rest"], bench.keep
    urls = {name: f"http://127.0.0.1:{bench.ports[name]}/api/v1/predict" for name in ("echo", "one", "bridge")}

    def predictions(url: str) -> float:
        return load.wrk(url, body, CLIENT, bench.seconds, 8, answers=bench.answers_of_rest)

    echo = keep("fastapi_rate", predictions(urls["echo"]))
    for name, key in (("one", "predict_rest"), ("bridge", "predict_rest_hop")):
        rate = keep(f"{key}_rate", predictions(urls[name]))
        keep(f"{key}_vs_fastapi", rate / echo)
        keep(
            f"{key}_unexplained_vs_fastapi",
            predictions(urls[name] + "?explain=none") / echo,
        )

    def reviews(name: str, core: int | None, anew: Sequence[str] = (ID, *(key.value for key in Key))) -> float:
        url = f"http://127.0.0.1:{bench.ports[name]}/api/v1/review"
        return load.wrk(url, body, core, bench.seconds + 1, 16, anew=anew, answers=bench.answers_of_rest)

    keep("review_rest_vs_fastapi", reviews("one_agent", CLIENT) / echo)
    # As in an attack: memory looks at as many of the customer's, the device's and the address's orders as it ever does.
    keep("review_rest_one_customer_vs_fastapi", reviews("one_agent", CLIENT, (ID,)) / echo)
    keep("review_rest_rate", reviews("bridge_agent", None))
    keep("review_rest_one_process_rate", reviews("one_free_agent", None))


def _batches(bench: Bench) -> float:
    url = f"http://127.0.0.1:{bench.ports['scorer']}{PREDICT_BATCH}"
    return load.h2load(url, bench.body["batch"], load.GRPC, CLIENT, 2 if bench.short else 12, clients=1, streams=1)


def _booster(bench: Bench) -> float:
    """Rows a second of LightGBM itself, on the core of the servers."""
    with on_core(SERVER):
        begun = time.perf_counter()
        for _ in range(4):
            bench.booster.predict(bench.matrix, num_threads=1)
        return 4 * len(bench.matrix) / (time.perf_counter() - begun)


def starts(bench: Bench, rounds: int) -> None:
    """Time from the process's start to its first answer, and its resident memory after a thousand answers."""
    for number in range(rounds):
        name, begun = f"cold{number}", time.monotonic()
        bench.start(
            name, sys.executable, "-m", "ml_server",
            settings={"VOUCH_ML_LISTEN": "127.0.0.1:{port}", "VOUCH_ML_METRICS_LISTEN": ""},
        )  # fmt: skip
        wait_for(lambda name=name: bench.answers(name), 60, name)  # type: ignore[misc]
        bench.keep("cold_start_s", time.monotonic() - begun)
        bench.rate(name, "predict", requests=bench.requests // 4)
        pages = int(Path(f"/proc/{bench.pid}/statm").read_text().split()[1])
        bench.keep("rss_mb", pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


UNITS = {
    "cold_start_s": "s", "rss_mb": "MB", "predict_p50": "us", "empty_p50": "us", "empty_rate": "requests/s",
    "predict_rate": "requests/s", "mlserver_rate": "requests/s", "fastapi_rate": "requests/s",
    "predict_rest_rate": "requests/s", "predict_rest_hop_rate": "requests/s", "review_rest_rate": "requests/s",
    "review_rest_one_process_rate": "requests/s", "predict_batch_rows": "rows/s", "booster_rows": "rows/s",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all rounds and write the results; return the exit code: 0 measured, 2 something is missing."""
    options = parser("bench.serving", "Serving against its baselines.").parse_args(arguments)
    rounds = 1 if options.short else ROUNDS
    lacking = load.missing()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        lacking.append("two cores are needed, one for the server and one for the load")
    if lacking:
        print("\n".join(f"bench: {line}" for line in lacking), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        bench = Bench(Path(folder), models_of(options, Path(folder)), short=options.short)
        try:
            start_all(bench)
            with_mlserver = not options.short and start_mlserver(bench)
            for number in range(rounds):
                print(f"round {number + 1} of {rounds}", flush=True)
                one_round(bench, with_mlserver)
            starts(bench, rounds)
        finally:
            bench.close()
    write(
        "serving",
        {name: entry(values, UNITS.get(name, "ratio")) for name, values in bench.figures.items()},
        short=options.short,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
