"""Servers, orders and results of `bench.serving`."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import httpx
import lightgbm as lgb
import pyarrow as pa
from google.protobuf.json_format import MessageToDict

from bench.harness import load
from contract.fields import FIELDS
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.json.mapping import to_rest
from ml_server.features.table_columns import TableColumns
from ml_server.registry.store import CURRENT
from ml_server.registry.store import load as load_model
from runtime.rpc.grpc_tuning import EXPERIMENTS
from testing.servers.launching import Process, launch, run
from testing.waiting import free_port, wait_for

REQUESTS, BATCH = 4000, 1024
SERVER, CLIENT = 0, 1
PREDICT, PREDICT_BATCH = "/vouch.v1.ScoringService/Predict", "/vouch.v1.ScoringService/PredictBatch"
_SIX = ("accounts_on_device_30d", "accounts_on_ip_24h", "three_ds_result", "payment_attempts_24h", "cards_used_30d")
NEWER = (*_SIX, "promo_code_used")


class Bench:
    """Running servers and their measurements."""

    def __init__(self, folder: Path, models: Path, *, short: bool = False) -> None:
        """Create the orders. In the short form results come from few requests, and servers are not pinned or warm."""
        self.folder, self.models, self.short = folder, models, short
        self.requests, self.batch, self.orders_made = (16, 8, 300) if short else (REQUESTS, BATCH, 8000)
        self.seconds = 60 if short else 2  # for one result of REST
        self.answers_of_rest = 20 if short else None  # end it earlier
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
        done = run("-m", "data_gen", "--size", str(self.orders_made), "--output", str(path), "--no-validate")
        assert done.returncode == 0, done.stderr
        table = read_table(path)
        table = table.select([name for name in FIELDS if name not in NEWER and name in table.column_names])
        whole = [all(column[row].is_valid for column in table.columns) for row in range(table.num_rows)]
        return (table.filter(whole) if sum(whole) >= self.batch else table).slice(0, self.batch)

    def _bodies(self, order: Transaction) -> dict[str, Path]:
        assert len(order.ListFields()) == 38, "the order must set the 38 documented fields"
        rest = {name: value for name, value in to_rest(order).items() if value is not None}
        contents = {
            "predict": load.frame(pb.PredictRequest(transaction=order).SerializeToString()),
            "explain": load.frame(
                pb.PredictRequest(transaction=order, explain_level=pb.EXPLAIN_LEVEL_REASONS).SerializeToString()
            ),
            "batch": load.frame(pb.PredictBatchRequest(transactions=self.orders).SerializeToString()),
            "rest": json.dumps(rest).encode(),
            "canonical": json.dumps(MessageToDict(order, preserving_proto_field_name=True)).encode(),
        }
        paths = {name: self.folder / name for name in contents}
        for name, path in paths.items():
            path.write_bytes(contents[name])
        return paths

    def start(
        self, name: str, *command: str, core: int | None = SERVER, settings: Mapping[str, str] | None = None
    ) -> None:
        """Start a server on a free port, which replaces `{port}` in its command and settings."""
        port = self.ports[name] = free_port()
        # Remove this process's gRPC settings: the baselines are those of the documentation. In tests all are equal,
        # since forked processes inherit the gRPC configuration.
        foreign = ("VOUCH_",) if self.short else ("VOUCH_", "GRPC_")
        clean = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        own = {key: value.format(port=port, **self.ports) for key, value in (settings or {}).items()}
        if self.short:
            own = {key: value for key, value in own.items() if not key.startswith("GRPC_")}
        environment = clean | {"VOUCH_MODELS_DIR": str(self.models), "OMP_NUM_THREADS": "1", **own}
        words = [word.format(port=port, **self.ports) for word in command]
        with (self.folder / f"{name}.log").open("ab") as log, on_core(core):  # a process inherits its core
            process = launch(words, env=environment, stdout=log.fileno(), stderr=log.fileno())
        self._stack.callback(_end, process)
        self.pid = process.pid

    def close(self) -> None:
        """Stop all servers."""
        self._stack.close()

    def record(self, name: str, value: float) -> float:
        """Record and return a result of one round."""
        self.figures.setdefault(name, []).append(value)
        return value

    def rate(self, server: str, body: str, path: str = PREDICT, requests: int = 0, core: int | None = CLIENT) -> float:
        """Return requests a second of gRPC."""
        url = f"http://127.0.0.1:{self.ports[server]}{path}"
        return load.h2load(url, self.body[body], load.GRPC, core, requests or self.requests, clients=2, streams=8)

    def few(self, server: str, path: str, body: str, headers: tuple[str, ...]) -> float:
        """Return requests a second with eight in flight on one connection."""
        url = f"http://127.0.0.1:{self.ports[server]}{path}"
        return load.h2load(url, self.body[body], headers, CLIENT, self.requests // 2, clients=1, streams=8)

    def p50(self, server: str) -> float:
        """Return the median microseconds of Predict at concurrency 1."""
        url = f"http://127.0.0.1:{self.ports[server]}{PREDICT}"
        return load.h2load_p50(url, self.body["predict"], load.GRPC, CLIENT, self.requests // 2)

    def answers(self, name: str) -> bool:
        """Return whether a scorer answers."""
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[name]}") as channel:
            try:
                ScoringServiceStub(channel).Predict(pb.PredictRequest(transaction=self.orders[0]), timeout=2)
            except grpc.RpcError:
                return False
        return True


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Pin this thread, and the processes that it starts, to one core, unless it is None."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _end(process: Process) -> None:
    process.terminate()
    process.wait(30)


def start_all(bench: Bench) -> None:
    """Start all servers."""
    python = sys.executable
    scorer = {"VOUCH_ML_LISTEN": "127.0.0.1:{port}", "VOUCH_ML_METRICS_LISTEN": ""}
    tuned = {"GRPC_EXPERIMENTS": EXPERIMENTS}
    baselines: dict[str, dict[str, str]] = {
        "empty": {},
        "empty_uvloop": {},
        "empty_tuned": tuned,
        "unmeasured": tuned,
    }
    for name, settings in baselines.items():
        bench.start(name, python, "-m", "bench.harness.servers", name, "{port}", settings=settings)
    bench.start(
        "scorer", python, "-m", "ml_server", settings=scorer | {"VOUCH_ML_METRICS_LISTEN": f"127.0.0.1:{free_port()}"}
    )
    for count in ("1", "2"):
        bench.start(f"workers{count}", python, "-m", "ml_server", "--workers", count, core=None, settings=scorer)
    bench.start("echo", python, "-m", "bench.harness.servers", "echo", "{port}")
    bench.start(
        "bridge", python, "-m", "uvicorn", "http_bridge.ml:app", "--port", "{port}", "--log-level", "warning",
        settings={"VOUCH_HTTP_SCORER": "127.0.0.1:{scorer}"},
    )  # fmt: skip
    for name, core in (("one", SERVER), ("one_free", None)):
        start_one(bench, name, core)
    _start_apart(bench)
    # In production the edge has its own machine, so it runs on the load's core; and on the scorer's, to measure its
    # cost.
    for name, core in (("edge", CLIENT), ("edge_beside", SERVER)):
        bench.start(name, python, "envoy/run.py", "--edge={port}", "--scorer={scorer}", core=core)
    for name in (*baselines, "scorer", "workers1", "workers2", "edge", "edge_beside"):
        wait_for(lambda name=name: bench.answers(name), 120, name)  # type: ignore[misc]
    for name in ("one_agent", "one_free_agent", "bridge_agent"):
        wait_for(lambda name=name: decides(bench.ports[name]), 120, name)  # type: ignore[misc]
    if not bench.short:
        time.sleep(2)


def start_one(bench: Bench, name: str, core: int | None, models: Path | None = None) -> None:
    """Start everything in one process; its agent's REST is on the port of `name`_agent, its gRPC on `name`_grpc."""
    bench.ports |= {f"{name}_agent": free_port(), f"{name}_grpc": free_port()}
    bench.start(
        name, sys.executable, "vouch.py", "serve", core=core,
        settings={
            "VOUCH_MODELS_DIR": str(models or bench.models),
            "VOUCH_ML_LISTEN": f"127.0.0.1:{free_port()}",
            "VOUCH_ML_METRICS_LISTEN": "",
            "VOUCH_AGENT_LISTEN": f"127.0.0.1:{{{name}_grpc}}",
            "VOUCH_AGENT_METRICS_LISTEN": "",
            "VOUCH_AGENT_LEDGER_URL": f"sqlite:///{bench.folder / name}.db",
            "VOUCH_STACK_BRIDGE_ML_PORT": "{port}",
            "VOUCH_STACK_BRIDGE_AGENT_PORT": f"{{{name}_agent}}",
            "VOUCH_CONSOLE_LISTEN": f"127.0.0.1:{free_port()}",
        },
    )  # fmt: skip


def _start_apart(bench: Bench) -> None:
    """Start an agent and its REST as separate processes on any core; the scorer is `workers1`."""
    bench.start(
        "agent", sys.executable, "-m", "agent_server", core=None,
        settings={
            "VOUCH_AGENT_LISTEN": "127.0.0.1:{port}",
            "VOUCH_AGENT_METRICS_LISTEN": "",
            "VOUCH_AGENT_SCORER": "127.0.0.1:{workers1}",
            "VOUCH_AGENT_LEDGER_URL": f"sqlite:///{bench.folder / 'apart.db'}",
        },
    )  # fmt: skip
    bench.start(
        "bridge_agent", sys.executable, "-m", "uvicorn", "http_bridge.agent:app", "--port", "{port}",
        "--log-level", "warning", core=None,
        settings={"VOUCH_HTTP_AGENT": "127.0.0.1:{agent}"},
    )  # fmt: skip


def decides(port: int) -> bool:
    """Return whether an agent's REST answers and reaches scorer and ledger."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/health", timeout=2.0)
    except httpx.HTTPError:
        return False
    return bool(answer.json()["status"] == "healthy")
