"""`vouch up`: every service of the Procfile in one terminal, from healthy to a clean stop."""

import argparse
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from runtime.process.commands import command
from stack.ports import REPLICATED, lacking, ports, replicas
from stack.settings import EdgeSettings, StackSettings

ROOT = Path(__file__).resolve().parent.parent
HEALTHY_SECONDS = 120.0
MOST_REPLICAS = 8
READY = "vouch is up"
_STOPPED = (129, 130, 143)  # what honcho reports after SIGHUP, Ctrl-C and SIGTERM


def addresses(at: Mapping[str, int], secure: bool) -> str:
    """Where everything is, for a person."""
    scheme = "https" if secure else "http"
    return f"""
  scorer  REST http://localhost:{at["bridge_ml"]}/docs     gRPC localhost:{at.get("ml", "(any)")}
  agent   REST http://localhost:{at["bridge_agent"]}/docs     gRPC localhost:{at.get("agent", "(any)")}
  console http://localhost:{at.get("console", "(any)")}/           where people decide cases
  edge    {scheme}://localhost:{at["envoy"]}               gRPC, gRPC-Web, JSON (/v1/...), /api/v1/... and /console/
"""


def healthy(at: Mapping[str, int], secure: bool) -> bool:
    """Whether every service answers, and the agent reaches scorer and ledger. Health asks nobody for a key."""
    urls = [f"http://127.0.0.1:{at[name]}/api/v1/health" for name in ("bridge_ml", "bridge_agent")]
    if "console" in at:
        urls.append(f"http://127.0.0.1:{at['console']}/console/health")
    urls.append(f"{'https' if secure else 'http'}://127.0.0.1:{at['envoy']}/api/v1/health")
    try:
        # Our own certificate, on loopback: whether others trust it is not the question here.
        answers = [httpx.get(url, timeout=1.0, verify=False) for url in urls]  # noqa: S501
    except httpx.HTTPError:
        return False
    if not all(_listens(port) for name, port in at.items() if "." in name):
        return False
    return all(answer.status_code == 200 and answer.json()["status"] == "healthy" for answer in answers)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _announce(at: Mapping[str, int], secure: bool, stopping: threading.Event, failed: threading.Event) -> None:
    started = time.monotonic()
    while not stopping.wait(0.2):
        try:
            well = healthy(at, secure)
        except (ValueError, KeyError):  # something else answers there, or not yet with what health tells
            well = False
        if well:
            took = time.monotonic() - started
            print(f"{READY} after {took:.1f} s{addresses(at, secure)}  Ctrl-C stops everything.", flush=True)
            return
        if time.monotonic() - started > HEALTHY_SECONDS:
            print(
                f"vouch up: not healthy after {HEALTHY_SECONDS:.0f} s; see the lines above", file=sys.stderr, flush=True
            )
            failed.set()
            os.kill(os.getpid(), signal.SIGTERM)
            return


@command("vouch up")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 stopped by Ctrl-C, 1 a service failed, 2 it could not start."""
    parser = argparse.ArgumentParser(prog="vouch up", description="Start every service in this terminal.")
    parser.add_argument(
        "--replicas", type=int, default=1, help="of scorer and agent each, behind the edge", metavar="N"
    )
    count = parser.parse_args(arguments).replicas
    if not 1 <= count <= MOST_REPLICAS:
        parser.error(f"--replicas is from 1 to {MOST_REPLICAS}")
    at, secure = replicas(ports(), count), EdgeSettings.read().tls_certificate is not None
    models = Path(os.environ.get("VOUCH_MODELS_DIR", "models"))
    if sentences := lacking(at, models):
        print("\n".join(f"vouch up: {sentence}" for sentence in sentences), file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="vouch-metrics-") as counts:
        return _run(at, count, secure, environment(at, models), Path(counts))


def _run(at: Mapping[str, int], count: int, secure: bool, told: dict[str, str], counts: Path) -> int:
    manager: Any = _Services(_Unread(sys.stdout))
    for name, program in parse_procfile((ROOT / "Procfile").read_text()).processes.items():
        manager.add_process(name, f"exec {program}", env=told | _counting(name, counts))
        for number in range(2, count + 1) if name in REPLICATED else ():
            manager.add_process(f"{name}.{number}", f"exec {program}", env=told | _elsewhere(name, number, at))
    stopping, failed = threading.Event(), threading.Event()
    threading.Thread(target=_announce, args=(at, secure, stopping, failed), daemon=True).start()
    # A terminal that is closed sends SIGHUP to us alone: the services have sessions of their own.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    manager.loop()
    stopping.set()
    if manager.returncode in _STOPPED and not failed.is_set():
        return 0
    print("vouch up: a service did not run; see the lines above", file=sys.stderr)
    return 1


def _counting(name: str, counts: Path) -> dict[str, str]:
    """Where workers of a REST door count together."""
    if not name.startswith("bridge_") or StackSettings.read().bridge_workers == 1:
        return {}
    (counts / name).mkdir()
    return {"PROMETHEUS_MULTIPROC_DIR": str(counts / name)}


def environment(at: Mapping[str, int], models: Path) -> dict[str, str]:
    """What the services are told: what the caller set, this installation's programs, and where the others are."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = {**os.environ, "PATH": path, "VOUCH_MODELS_DIR": str(models.resolve()), "VOUCH_ROOT": str(ROOT)}
    found.setdefault("VOUCH_AGENT_LEDGER_URL", f"sqlite:///{Path.cwd() / 'vouch_ledger.db'}")
    for variable, service in _TARGETS.items():
        if service in at:
            several = _all(service, at)
            # gRPC's own list of addresses, over which a client spreads its calls.
            found.setdefault(variable, f"ipv4:{','.join(several)}" if len(several) > 1 else f"localhost:{at[service]}")
    for service, variable in (("ml", "VOUCH_EDGE_SCORERS"), ("agent", "VOUCH_EDGE_AGENTS")):
        if len(_all(service, at)) > 1:
            found.setdefault(variable, ",".join(_all(service, at)))
    for service, port in at.items():
        found[f"VOUCH_PORT_{service.upper()}"] = str(port)  # for the Procfile
    return found


def _all(service: str, at: Mapping[str, int]) -> list[str]:
    """The addresses of a service's replicas."""
    return [f"127.0.0.1:{port}" for name, port in at.items() if name == service or name.startswith(f"{service}.")]


def _elsewhere(service: str, number: int, at: Mapping[str, int]) -> dict[str, str]:
    """Where a further replica listens."""
    listen, metrics = REPLICATED[service]
    found = {listen: f"127.0.0.1:{at[f'{service}.{number}']}"}
    shown = at.get(f"{service}_metrics.{number}")
    return found | {metrics: f"127.0.0.1:{shown}" if shown else ""}


_TARGETS = {
    "VOUCH_AGENT_SCORER": "ml", "VOUCH_HTTP_SCORER": "ml", "VOUCH_HTTP_AGENT": "agent", "VOUCH_CONSOLE_SCORER": "ml",
    "VOUCH_CONSOLE_AGENT": "agent",
}  # fmt: skip


class _Services(Manager):  # type: ignore[misc]
    """Honcho's manager, which raises KeyError where it is to stop services of which one has not started yet."""

    _asked_early = False

    def terminate(self) -> None:
        """Stop every service, once all have started."""
        if self._all_started():
            super().terminate()
        else:
            self._asked_early = True

    def _all_started(self) -> bool:
        """Whether all have started; the manager's loop asks again and again."""
        started = bool(super()._all_started())
        if started and self._asked_early:
            self._asked_early = False
            super().terminate()
        return started


class _Unread(Printer):  # type: ignore[misc]
    """Prints lines of the services, for as long as somebody reads them: to end without them all the same."""

    _read = True

    def write(self, message: Any) -> None:
        """Print one line."""
        if not self._read:
            return
        try:
            super().write(message)
        except RuntimeError:
            return  # a signal came while a line was printed: its handler prints too, and has to go on without
        except (OSError, ValueError):
            self._read = False
            os.kill(os.getpid(), signal.SIGTERM)
