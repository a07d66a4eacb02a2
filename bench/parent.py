"""`python -m bench.parent`: rate and CPU time of Review in one process, compared with another commit in the same run.

Both versions run as `vouch serve` on one core, each with its own ledger on SQLite and on PostgreSQL, and 16 callers of
gRPC run on the other core. Rounds alternate between the versions. CPU time of the process is the steadier figure on a
busy machine.
"""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import Message

from bench.harness.options import models_of, parser
from bench.harness.running import on_core
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import NAMES
from testing.load import Call, capacity, until_answered
from testing.reports.results import entry, write
from testing.servers.launching import ROOT, launch
from testing.servers.postgres import binaries
from testing.servers.postgres import running as postgres_running
from testing.servers.processes import run
from testing.waiting import free_port

SERVER, CLIENT = 0, 1
PARENT = "HEAD^"


@dataclass(frozen=True)
class Scale:
    """Size of the benchmark: rounds, seconds and callers of a rate, seconds of warm-up, generated orders."""

    rounds: int = 7
    seconds: float = 4.0
    callers: int = 16
    warm_up: float = 3.0
    orders: int = 4000


SHORT = Scale(rounds=1, seconds=0.05, callers=2, warm_up=0.01, orders=300)


def check_out(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder; return the folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder


def raw_orders(folder: Path, count: int) -> list[Transaction]:
    """Return generated orders without the fields that history completes."""
    path = folder / "orders.parquet"
    done = run("-m", "data_gen", "--size", str(count), "--output", str(path), "--no-validate")
    assert done.returncode == 0, done.stderr
    orders = list(messages(read_table(path)))
    for order, name in itertools.product(orders, NAMES):
        order.ClearField(name)
    return orders


class Version:
    """One version of the project as `vouch serve` on one core."""

    def __init__(self, source: Path, folder: Path, models: Path, ledger_url: str) -> None:
        """Start it. `source` is the folder of its code."""
        self.address = f"127.0.0.1:{free_port()}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("VOUCH_", "PYTHON"))}
        ports = {name: f"127.0.0.1:{free_port()}" for name in ("VOUCH_ML_LISTEN", "VOUCH_CONSOLE_LISTEN")}
        settings = {
            "VOUCH_MODELS_DIR": str(models), "VOUCH_AGENT_LISTEN": self.address, "VOUCH_ML_METRICS_LISTEN": "",
            "VOUCH_AGENT_METRICS_LISTEN": "", "VOUCH_AGENT_LEDGER_URL": ledger_url, "OMP_NUM_THREADS": "1",
            "VOUCH_STACK_BRIDGE_ML_PORT": str(free_port()), "VOUCH_STACK_BRIDGE_AGENT_PORT": str(free_port()),
            "PYTHONPATH": str(source), **ports,
        }  # fmt: skip
        with (folder / "serve.log").open("ab") as log, on_core(SERVER):
            self._process = launch(
                [sys.executable, str(source / "vouch.py"), "serve"], env=clean | settings, stdout=log.fileno(),
                stderr=log.fileno(),
            )  # fmt: skip

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(60)


@contextlib.asynccontextmanager
async def reviews(address: str, orders: Sequence[Transaction]) -> AsyncIterator[Call]:
    """Yield a call of Review with a new order each time."""
    numbers, run_id = itertools.count(), uuid.uuid4().hex[:8]
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(address, options)) for _ in range(4)]
        stubs = [AgentServiceStub(channel) for channel in channels]

        def call() -> Awaitable[Message]:
            number = next(numbers)
            request = agent.ReviewRequest(transaction=orders[number % len(orders)])
            request.transaction.transaction_id = f"{run_id}-{number}"
            answer: Awaitable[Message] = stubs[number % len(stubs)].Review(request, timeout=30)
            return answer

        yield call


async def compare(
    versions: Sequence[Version], orders: Sequence[Transaction], scale: Scale
) -> list[tuple[list[float], list[float]]]:
    """Return the rates of both versions, and their CPU seconds a review, by rounds."""
    async with contextlib.AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(reviews(version.address, orders)) for version in versions]
        for call in calls:
            await until_answered(call)
            await capacity(call, scale.callers, scale.warm_up)
        rounds = []
        for _ in range(scale.rounds):
            rates, costs = [], []
            for version, call in zip(versions, calls, strict=True):
                before, begun = version.cpu_seconds(), time.perf_counter()
                rate = await capacity(call, scale.callers, scale.seconds)
                answered = max(1.0, rate * scale.seconds)
                rates.append(answered / (time.perf_counter() - begun))
                costs.append((version.cpu_seconds() - before) / answered)
            print(
                "reviews a second:", [round(rate) for rate in rates],
                "CPU us a review:", [round(cost * 1e6) for cost in costs], flush=True,
            )  # fmt: skip
            rounds.append((rates, costs))
    return rounds


def measure(folder: Path, sources: Sequence[Path], models: Path, scale: Scale) -> dict[str, list[float]]:
    """Return all results, by rounds: this version relative to the other one."""
    figures: dict[str, list[float]] = {}
    orders = raw_orders(folder, scale.orders)
    with contextlib.ExitStack() as stack:
        homes = [folder / name for name in ("this", "other")]
        for home in homes:
            home.mkdir()
        ledgers = {"sqlite": [f"sqlite:///{home / 'ledger.db'}" for home in homes]}
        if binaries() is not None and scale is not SHORT:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vouch-pg-")))
            postgres = stack.enter_context(
                postgres_running(home, fsync="on", full_page_writes="on", shared_buffers="128MB")
            )
            ledgers["postgres"] = [postgres.new_database() for _ in homes]
        for database, urls in ledgers.items():
            print(database, flush=True)
            with contextlib.ExitStack() as running:
                versions = [
                    Version(source, home, models, url) for source, home, url in zip(sources, homes, urls, strict=True)
                ]
                for version in versions:
                    running.callback(version.stop)
                for rates, costs in asyncio.run(compare(versions, orders, scale)):
                    for key, value in (
                        ("rate", rates[0]), ("rate_other", rates[1]), ("rate_vs_other", rates[0] / rates[1]),
                        ("cpu", costs[0] * 1e6), ("cpu_other", costs[1] * 1e6),
                        ("cpu_vs_other", costs[1] / max(costs[0], 1e-9)),
                    ):  # fmt: skip
                        figures.setdefault(f"review_{key}_{database}", []).append(value)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the results; return the exit code."""
    options = parser("bench.parent", "Reviews in one process, compared with another commit.")
    options.add_argument("--against", default=PARENT, help=f"the other commit (default: {PARENT})")
    chosen = options.parse_args(arguments)
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {CLIENT})
    with tempfile.TemporaryDirectory(prefix="vouch-bench-") as name:
        folder = Path(name)
        other = ROOT if chosen.short else check_out(chosen.against, folder / "source")
        scale = SHORT if chosen.short else Scale()
        figures = measure(folder, [ROOT, other], models_of(chosen, folder), scale)
    units = {key: "us" if "_cpu_" in key else "reviews/s" for key in figures if "vs" not in key}
    write(
        "parent", {key: entry(values, units.get(key, "ratio")) for key, values in figures.items()}, short=chosen.short
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
