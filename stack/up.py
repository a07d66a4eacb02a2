"""`vouch up`: run all services of the Procfile in one terminal until a clean stop."""

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import httpx
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from runtime.colours import wants_colour
from runtime.process.command_line import CANNOT_RUN, NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.port_base import add_port_base_option, use_port_base
from stack.ports import REPLICATED, health_urls, missing_requirements, read_ports, replicas
from stack.settings import EdgeSettings, StackSettings

ROOT = Path(__file__).resolve().parent.parent
HEALTHY_SECONDS = 120.0
MAX_REPLICAS = 8
READY = "vouch is up"
_STOPPED = (129, 130, 143)  # exit codes of honcho after SIGHUP, Ctrl-C and SIGTERM


def describe_addresses(ports: Mapping[str, int], secure: bool) -> str:
    """Return the addresses of all services as text."""
    scheme = "https" if secure else "http"
    return f"""
  scorer  REST http://localhost:{ports["bridge_ml"]}/docs     gRPC localhost:{ports.get("ml", "(any)")}
  agent   REST http://localhost:{ports["bridge_agent"]}/docs     gRPC localhost:{ports.get("agent", "(any)")}
  console http://localhost:{ports.get("console", "(any)")}/           review of cases
  edge    {scheme}://localhost:{ports["envoy"]}               gRPC, gRPC-Web, JSON (/v1/...), /api/v1/... and /console/
"""


def is_healthy(ports: Mapping[str, int], secure: bool) -> bool:
    """Return whether all services respond, and the agent reaches scorer and ledger. Health needs no key."""
    urls = health_urls(ports, secure=secure).values()
    try:
        # Our own certificate on loopback; its trust chain does not matter here.
        responses = [httpx.get(url, timeout=1.0, verify=False) for url in urls]  # noqa: S501
    except httpx.HTTPError:
        return False
    if not all(_listens(port) for name, port in ports.items() if "." in name):
        return False
    return all(response.status_code == 200 and response.json()["status"] == "healthy" for response in responses)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _report_start(ports: Mapping[str, int], secure: bool, stopping: threading.Event, failed: threading.Event) -> None:
    started = time.monotonic()
    while not stopping.wait(0.2):
        try:
            ready = is_healthy(ports, secure)
        except (ValueError, KeyError):  # another server, or an incomplete health response
            ready = False
        if ready:
            seconds = time.monotonic() - started
            print(
                f"{READY} after {seconds:.1f} s{describe_addresses(ports, secure)}  Ctrl-C stops everything.",
                flush=True,
            )
            return
        if time.monotonic() - started > HEALTHY_SECONDS:
            print(
                f"vouch up: not healthy after {HEALTHY_SECONDS:.0f} s; see the log above", file=sys.stderr, flush=True
            )
            failed.set()
            os.kill(os.getpid(), signal.SIGTERM)
            return


def parser() -> CommandParser:
    """Return the parser of `vouch up`."""
    result = CommandParser(
        prog="vouch up",
        description="Start all services in this terminal, until Ctrl-C.",
        examples=("vouch up", "vouch up --port-base 9000", "vouch up --replicas 2"),
        codes={OK: "stopped by Ctrl-C or a signal", NEGATIVE: "a service failed"},
    )
    result.add_argument(
        "--replicas", type=int, default=1, help="replicas of scorer and of agent behind the edge", metavar="N"
    )
    add_port_base_option(result)
    return result


@command("vouch up")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    use_port_base(options.port_base)
    count: int = options.replicas
    if not 1 <= count <= MAX_REPLICAS:
        parser().error(f"--replicas must be from 1 to {MAX_REPLICAS}, not {count}")
    ports, secure = replicas(read_ports(), count), EdgeSettings.read().tls_certificate is not None
    models = Path(os.environ.get("VOUCH_MODELS_DIR", "models"))
    if sentences := missing_requirements(ports, models):
        print("\n".join(f"vouch up: {sentence}" for sentence in sentences), file=sys.stderr)
        return CANNOT_RUN
    with tempfile.TemporaryDirectory(prefix="vouch-metrics-") as counts:
        return _run(ports, count, secure, environment(ports, models), Path(counts))


def _run(ports: Mapping[str, int], count: int, secure: bool, variables: dict[str, str], counts: Path) -> int:
    manager: Any = _ServiceManager(make_printer(sys.stdout))
    for name, program in parse_procfile((ROOT / "Procfile").read_text()).processes.items():
        manager.add_process(name, f"exec {program}", env=variables | _metrics_variables(name, counts))
        for number in range(2, count + 1) if name in REPLICATED else ():
            manager.add_process(
                f"{name}.{number}", f"exec {program}", env=variables | _replica_variables(name, number, ports)
            )
    stopping, failed = threading.Event(), threading.Event()
    threading.Thread(target=_report_start, args=(ports, secure, stopping, failed), daemon=True).start()
    # A closed terminal sends SIGHUP to this process only: the services have their own sessions.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    manager.loop()
    stopping.set()
    if manager.returncode in _STOPPED and not failed.is_set():
        return OK
    print("vouch up: a service failed; see the log above", file=sys.stderr)
    return NEGATIVE


def _metrics_variables(name: str, counts: Path) -> dict[str, str]:
    """Return the variables that let workers of a REST server share metrics."""
    if not name.startswith("bridge_") or StackSettings.read().bridge_workers == 1:
        return {}
    (counts / name).mkdir()
    return {"PROMETHEUS_MULTIPROC_DIR": str(counts / name)}


def environment(ports: Mapping[str, int], models: Path) -> dict[str, str]:
    """Return the environment of the services: that of the caller, our PATH, and the service addresses."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    variables = {**os.environ, "PATH": path, "VOUCH_MODELS_DIR": str(models.resolve()), "VOUCH_ROOT": str(ROOT)}
    # Our packages before others of the same name, as in this process.
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    variables.setdefault("VOUCH_AGENT_LEDGER_URL", f"sqlite:///{Path.cwd() / 'vouch_ledger.db'}")
    for variable, service in _TARGETS.items():
        if service in ports:
            targets = _replica_addresses(service, ports)
            # A gRPC address list, over which clients balance their calls.
            variables.setdefault(
                variable, f"ipv4:{','.join(targets)}" if len(targets) > 1 else f"localhost:{ports[service]}"
            )
    for service, variable in (("ml", "VOUCH_EDGE_SCORERS"), ("agent", "VOUCH_EDGE_AGENTS")):
        if len(_replica_addresses(service, ports)) > 1:
            variables.setdefault(variable, ",".join(_replica_addresses(service, ports)))
    for service, port in ports.items():
        variables[f"VOUCH_PORT_{service.upper()}"] = str(port)  # for the Procfile
    return variables


def _replica_addresses(service: str, ports: Mapping[str, int]) -> list[str]:
    """Return the addresses of the replicas of a service."""
    return [f"127.0.0.1:{port}" for name, port in ports.items() if name == service or name.startswith(f"{service}.")]


def _replica_variables(service: str, number: int, ports: Mapping[str, int]) -> dict[str, str]:
    """Return the address variables of a further replica."""
    listen, metrics = REPLICATED[service]
    variables = {listen: f"127.0.0.1:{ports[f'{service}.{number}']}"}
    metrics_port = ports.get(f"{service}_metrics.{number}")
    return variables | {metrics: f"127.0.0.1:{metrics_port}" if metrics_port else ""}


_TARGETS = {
    "VOUCH_AGENT_SCORER": "ml", "VOUCH_HTTP_SCORER": "ml", "VOUCH_HTTP_AGENT": "agent", "VOUCH_CONSOLE_SCORER": "ml",
    "VOUCH_CONSOLE_AGENT": "agent",
}  # fmt: skip


class _ServiceManager(Manager):  # type: ignore[misc]
    """Manager that delays a stop until all services have started; honcho's own would raise KeyError."""

    _stop_requested = False

    def terminate(self) -> None:
        """Stop all services once all have started."""
        if self._all_started():
            super().terminate()
        else:
            self._stop_requested = True

    def _all_started(self) -> bool:
        """Return whether all have started; the loop of the manager polls this."""
        started = bool(super()._all_started())
        if started and self._stop_requested:
            self._stop_requested = False
            super().terminate()
        return started


def make_printer(stream: TextIO) -> Printer:
    """Return a printer of the services' lines."""
    return _LossyPrinter(stream, colour=wants_colour(stream))


class _LossyPrinter(Printer):  # type: ignore[misc]
    """Printer that stops the services if its output is closed, and continues without output."""

    _is_read = True

    def write(self, message: Any) -> None:
        """Print one line."""
        if not self._is_read:
            return
        try:
            super().write(message)
        except RuntimeError:
            return  # reentrant print: a signal handler interrupted a print, and must continue without one
        except (OSError, ValueError):
            self._is_read = False
            os.kill(os.getpid(), signal.SIGTERM)
