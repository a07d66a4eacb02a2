"""`make bench`: the scorer against what it stands on. Every figure is a ratio in one run against its own baseline.

Servers are pinned to one core, the load to the other; five interleaved rounds, medians. Writes bench/results/serving.json.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import lightgbm as lgb
import pyarrow as pa
from google.protobuf.json_format import MessageToDict

from bench import load, mlserver
from contract.fields import FIELDS
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.dialect.spelling import to_rest
from ml_server.features.table_columns import TableColumns
from ml_server.registry.store import CURRENT
from ml_server.registry.store import load as load_model
from runtime.settings import Shared
from testing.results import entry, write
from testing.waiting import free_port, wait_for

ROUNDS, REQUESTS, BATCH = 5, 4000, 1024
SERVER, CLIENT = 0, 1
PREDICT, PREDICT_BATCH = "/vouch.v1.ScoringService/Predict", "/vouch.v1.ScoringService/PredictBatch"
_SIX = ("accounts_on_device_30d", "accounts_on_ip_24h", "three_ds_result", "payment_attempts_24h", "cards_used_30d")
NEWER = (*_SIX, "promo_code_used")


class Bench:
    """Everything that runs while it is measured, and what was measured."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder, self.models = folder, models
        self.ports: dict[str, int] = {}
        self.figures: dict[str, list[float]] = {}
        self._stack = contextlib.ExitStack()
        self._model = load_model(models)
        table = self._orders()
        self.orders = list(messages(table))
        self.matrix = self._model.features.matrix(TableColumns(table))
        self.booster = lgb.Booster(model_str=(models / CURRENT / "model.txt").read_text())
        self.body = self._bodies(self.orders[0])

    def _orders(self) -> pa.Table:
        path = self.folder / "orders.parquet"
        command = [sys.executable, "-m", "data_gen", "--size", "8000", "--output", str(path), "--no-validate"]
        subprocess.run(command, check=True, capture_output=True)
        table = read_table(path).select([name for name in FIELDS if name not in NEWER])
        whole = [all(column[row].is_valid for column in table.columns) for row in range(table.num_rows)]
        return table.filter(whole).slice(0, BATCH) if sum(whole) >= BATCH else table.slice(0, BATCH)

    def _bodies(self, order: Transaction) -> dict[str, Path]:
        assert len(order.ListFields()) == 38, "the order to ask for sets the 38 documented fields"
        rest = {name: value for name, value in to_rest(order).items() if value is not None}
        contents = {
            "predict": load.frame(pb.PredictRequest(transaction=order).SerializeToString()),
            "explain": load.frame(pb.PredictRequest(transaction=order, explain=True).SerializeToString()),
            "batch": load.frame(pb.PredictBatchRequest(transactions=self.orders).SerializeToString()),
            "rest": json.dumps(rest).encode(),
            "canonical": json.dumps(MessageToDict(order, preserving_proto_field_name=True)).encode(),
        }
        found = {}
        for name, content in contents.items():
            found[name] = self.folder / name
            found[name].write_bytes(content)
        return found

    def start(
        self, name: str, *command: str, core: int | None = SERVER, settings: Mapping[str, str] | None = None
    ) -> None:
        """Start a server on a free port; `{port}` in its command and settings stands for it."""
        port = self.ports[name] = free_port()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("VOUCH_")}
        own = {key: value.format(port=port, **self.ports) for key, value in (settings or {}).items()}
        environment = clean | {"VOUCH_MODELS_DIR": str(self.models), "OMP_NUM_THREADS": "1", **own}
        words = [each.format(port=port, **self.ports) for each in command]
        with (self.folder / f"{name}.log").open("ab") as log:
            pinned = [] if core is None else ["taskset", "-c", str(core)]
            process = subprocess.Popen([*pinned, *words], env=environment, stdout=log, stderr=log)
        self._stack.callback(_end, process)
        self.pid = process.pid

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()

    def keep(self, name: str, value: float) -> float:
        """Keep a figure of one round."""
        self.figures.setdefault(name, []).append(value)
        return value

    def rate(
        self, server: str, body: str, path: str = PREDICT, requests: int = REQUESTS, core: int | None = CLIENT
    ) -> float:
        """Requests a second of gRPC."""
        url = f"http://127.0.0.1:{self.ports[server]}{path}"
        return load.h2load(url, self.body[body], load.GRPC, core, requests, clients=2, streams=8)

    def few(self, server: str, path: str, body: str, headers: tuple[str, ...]) -> float:
        """Requests a second with eight under way on one connection."""
        url = f"http://127.0.0.1:{self.ports[server]}{path}"
        return load.h2load(url, self.body[body], headers, CLIENT, REQUESTS // 2, clients=1, streams=8)

    def p50(self, server: str) -> float:
        """Median microseconds of Predict at concurrency 1."""
        url = f"http://127.0.0.1:{self.ports[server]}{PREDICT}"
        return load.h2load_p50(url, self.body["predict"], load.GRPC, CLIENT, REQUESTS // 2)

    def answers(self, name: str) -> bool:
        """Whether a scorer answers."""
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[name]}") as channel:
            try:
                ScoringServiceStub(channel).Predict(pb.PredictRequest(transaction=self.orders[0]), timeout=2)
            except grpc.RpcError:
                return False
        return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(30)


def start_all(bench: Bench) -> None:
    """Start every server that rounds need."""
    python = sys.executable
    scorer = {"VOUCH_ML_LISTEN": "127.0.0.1:{port}", "VOUCH_ML_METRICS_LISTEN": ""}
    for name in ("empty", "empty_uvloop", "unmeasured", "unchecked"):
        bench.start(name, python, "-m", "bench.servers", name, "{port}")
    bench.start(
        "scorer", python, "-m", "ml_server", settings=scorer | {"VOUCH_ML_METRICS_LISTEN": f"127.0.0.1:{free_port()}"}
    )
    for count in ("1", "2"):
        bench.start(f"workers{count}", python, "-m", "ml_server", "--workers", count, core=None, settings=scorer)
    bench.start("echo", python, "-m", "bench.servers", "echo", "{port}")
    uvicorn = str(Path(python).parent / "uvicorn")
    bench.start(
        "bridge", uvicorn, "http_bridge.ml:app", "--port", "{port}", "--log-level", "warning",
        settings={"VOUCH_HTTP_SCORER": "127.0.0.1:{scorer}"},
    )  # fmt: skip
    # The edge stands on a machine of its own, so with the load; and beside the scorer, to see what it costs.
    for name, core in (("edge", CLIENT), ("edge_beside", SERVER)):
        bench.start(name, python, "envoy/run.py", "--edge={port}", "--scorer={scorer}", core=core)
    for name in (
        "empty",
        "empty_uvloop",
        "unmeasured",
        "unchecked",
        "scorer",
        "workers1",
        "workers2",
        "edge",
        "edge_beside",
    ):
        wait_for(lambda name=name: bench.answers(name), 120, name)  # type: ignore[misc]
    time.sleep(2)


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
    keep("predict_p50_vs_empty", keep("predict_p50", bench.p50("scorer")) / keep("empty_p50", bench.p50("empty")))
    predict = bench.rate("scorer", "predict")
    keep("metrics_cost", 1 - predict / bench.rate("unmeasured", "predict"))
    predict = bench.rate("scorer", "predict")
    keep("validation_cost", 1 - predict / bench.rate("unchecked", "predict"))
    keep("explain_cost", 1 - bench.rate("scorer", "explain", requests=REQUESTS // 4) / predict)
    if with_mlserver:
        predict = bench.rate("scorer", "predict")
        keep(
            "mlserver", predict / keep("mlserver_rate", bench.rate("mlserver", "tensor", mlserver.PATH, REQUESTS // 4))
        )
    batches = keep("predict_batch_rows", _batches(bench) * BATCH)
    keep("predict_batch_vs_booster", batches / keep("booster_rows", _booster(bench)))
    rest = {name: f"http://127.0.0.1:{bench.ports[name]}/api/v1/predict" for name in ("echo", "bridge")}
    echo = keep("fastapi_rate", load.wrk(rest["echo"], bench.body["rest"], CLIENT, 2, 8))
    bridge = keep("predict_rest_rate", load.wrk(rest["bridge"], bench.body["rest"], CLIENT, 2, 8))
    keep("predict_rest_vs_fastapi", bridge / echo)
    plain = load.wrk(rest["bridge"] + "?explain=false", bench.body["rest"], CLIENT, 2, 8)
    keep("predict_rest_unexplained_vs_fastapi", plain / echo)
    # As many at once as the edge lets through to one worker.
    direct = bench.few("scorer", PREDICT, "predict", load.GRPC)
    for name in ("edge", "edge_beside"):
        rate = bench.few(name, "/v1/transactions:predict", "canonical", load.JSON)
        keep("predict_envoy_vs_grpc" if name == "edge" else "predict_envoy_on_one_core_vs_grpc", rate / direct)
    both = [bench.rate(f"workers{count}", "predict", core=None) for count in (1, 2)]
    keep("workers2_vs_1", both[1] / both[0])


def _batches(bench: Bench) -> float:
    url = f"http://127.0.0.1:{bench.ports['scorer']}{PREDICT_BATCH}"
    return load.h2load(url, bench.body["batch"], load.GRPC, CLIENT, 12, clients=1, streams=1)


def _booster(bench: Bench) -> float:
    """Rows a second of LightGBM itself, on the core of the servers."""
    with _on(SERVER):
        begun = time.perf_counter()
        for _ in range(4):
            bench.booster.predict(bench.matrix, num_threads=1)
        return 4 * len(bench.matrix) / (time.perf_counter() - begun)


@contextlib.contextmanager
def _on(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def starts(bench: Bench) -> None:
    """Time from the process's start to its first answer, and its resident memory after a thousand answers."""
    for place in range(ROUNDS):
        name, begun = f"cold{place}", time.monotonic()
        bench.start(
            name, sys.executable, "-m", "ml_server",
            settings={"VOUCH_ML_LISTEN": "127.0.0.1:{port}", "VOUCH_ML_METRICS_LISTEN": ""},
        )  # fmt: skip
        wait_for(lambda name=name: bench.answers(name), 60, name)  # type: ignore[misc]
        bench.keep("cold_start_s", time.monotonic() - begun)
        bench.rate(name, "predict", requests=1000)
        pages = int(Path(f"/proc/{bench.pid}/statm").read_text().split()[1])
        bench.keep("rss_mb", pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


UNITS = {
    "cold_start_s": "s", "rss_mb": "MB", "predict_p50": "us", "empty_p50": "us", "empty_rate": "requests/s",
    "predict_rate": "requests/s", "mlserver_rate": "requests/s", "fastapi_rate": "requests/s",
    "predict_rest_rate": "requests/s", "predict_batch_rows": "rows/s", "booster_rows": "rows/s",
}  # fmt: skip


def main() -> int:
    """Run all rounds and write the results; return the exit code: 0 measured, 2 something is missing."""
    lacking = load.missing()
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        lacking.append("two cores are needed, one for the server and one for the load")
    if lacking:
        print("\n".join(f"bench: {line}" for line in lacking), file=sys.stderr)
        return 2
    models = Shared.read().models_dir.resolve()
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as folder:
        bench = Bench(Path(folder), models)
        try:
            start_all(bench)
            with_mlserver = start_mlserver(bench)
            for number in range(ROUNDS):
                print(f"round {number + 1} of {ROUNDS}", flush=True)
                one_round(bench, with_mlserver)
            starts(bench)
        finally:
            bench.close()
    write("serving", {name: entry(values, UNITS.get(name, "ratio")) for name, values in bench.figures.items()})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
