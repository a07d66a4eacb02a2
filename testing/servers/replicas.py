"""Real servers for experiments: started on free ports, observed through their metrics, killed, stopped."""

import asyncio
import contextlib
import http.client
import os
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from testing.ledger.templates import new_ledger
from testing.servers.launching import PYTHON, Process, launch
from testing.waiting import START_SECONDS, free_port, wait_for


@dataclass
class Replica:
    """One server with its workers. `prefix` is that of its settings: VOUCH_ML_ or VOUCH_AGENT_."""

    module: str
    prefix: str
    folder: Path
    workers: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    cores: frozenset[int] | None = None
    own_group: bool = False

    def __post_init__(self) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        self.process: Process | None = None

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Return the path of its log."""
        return self.folder / f"{self.module}-{self.port}.log"

    def start(self) -> None:
        """Start without waiting."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
        environment = clean | {
            f"{self.prefix}LISTEN": self.address,
            f"{self.prefix}METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
            f"{self.prefix}WORKERS": str(self.workers),
            **self.settings,
        }
        with self.log.open("ab") as log:
            self.process = launch(
                [PYTHON, "-m", self.module],
                env=environment,
                stdout=log.fileno(),
                stderr=log.fileno(),
                start_new_session=self.own_group,
            )
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, self.cores)

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value, summed over labels not given; 0 if the metric or the server is missing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=2.0) as answer:
                text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0.0
        lines = [line for line in text.splitlines(keepends=True) if line.startswith(name)]
        return sum(
            sample.value
            for family in text_string_to_metric_families("".join(lines))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def listening(self) -> bool:
        """Return whether it accepts connections: a channel that was refused waits a second before it tries again."""
        host, _, port = self.address.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
            return True
        return False

    def serving(self) -> bool:
        """Return whether every worker has a model."""
        return self.metric("vouch_model_info") == self.workers

    def pids(self) -> list[int]:
        """Return the process ids of its workers."""
        assert self.process is not None
        if self.workers == 1:
            return [self.process.pid]
        return list(self._workers())

    def _workers(self) -> Iterator[int]:
        """Workers are children of the fork server, which is a child of the first process."""
        assert self.process is not None
        for child in _children(self.process.pid):
            yield from _children(child)

    def resident_bytes(self) -> int:
        """Return the resident memory of all its processes."""
        assert self.process is not None
        total = 0
        for pid in {self.process.pid, *self.pids()}:
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def signal(self, number: int) -> None:
        """Send a signal to the server's first process."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(START_SECONDS)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@contextlib.contextmanager
def running(*replicas: Replica) -> Iterator[None]:
    """Start all; stop all at the end."""
    try:
        for replica in replicas:
            replica.start()
        yield
    finally:
        for replica in replicas:
            if replica.process and replica.process.poll() is None:
                replica.stop()


@contextlib.asynccontextmanager
async def serving(*replicas: Replica) -> AsyncIterator[None]:
    """Start scorers, wait until every worker has its model, and stop them at the end."""
    with running(*replicas):
        for replica in replicas:
            await asyncio.to_thread(wait_for, replica.serving, what="all workers serving")
        yield


@contextlib.contextmanager
def edge(folder: Path, behind: Replica, front: Replica) -> Iterator[str]:
    """Run Envoy in front of a scorer and an agent; yield its address."""
    with envoy(folder / "envoy.log", f"--scorer={behind.port}", f"--agent={front.port}") as address:
        yield address


@contextlib.contextmanager
def envoy(log_file: Path, *options: str, **settings: str) -> Iterator[str]:
    """Run Envoy with options and settings (VOUCH_EDGE_...) of its own, on a free port; yield its address."""
    port = free_port()
    command = [PYTHON, "envoy/run.py", f"--edge={port}", *options]
    with log_file.open("ab") as log:
        process = launch(command, env=dict(os.environ) | settings, stdout=log.fileno(), stderr=log.fileno())
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def scorer(folder: Path, models: Path, **rest: object) -> Replica:
    """Return a scorer that serves the models of a folder."""
    settings = {"VOUCH_MODELS_DIR": str(models), "OMP_NUM_THREADS": "1"}
    return Replica("ml_server", "VOUCH_ML_", folder, settings=settings, **rest)  # type: ignore[arg-type]


def agent(folder: Path, scorer_address: str, ledger_url: str = "", **rest: object) -> Replica:
    """Return an agent that uses a scorer."""
    path = folder / "chaos.db"
    own = f"sqlite:///{path}" if ledger_url or path.exists() else new_ledger(path)
    settings = {"VOUCH_AGENT_SCORER": scorer_address, "VOUCH_AGENT_LEDGER_URL": ledger_url or own}
    return Replica("agent_server", "VOUCH_AGENT_", folder, settings=settings, **rest)  # type: ignore[arg-type]
