"""`vouch up`: every service of the Procfile in one terminal, from healthy to a clean stop."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from stack.ports import PORTS, taken

ROOT = Path(__file__).resolve().parent.parent
HEALTHY_SECONDS = 60.0
READY = "vouch is up"
_CHECKS = (
    "http://127.0.0.1:8000/api/v1/health",
    "http://127.0.0.1:8001/api/v1/health",
    "http://127.0.0.1:8080/v1/agent",
)
_STOPPED = (130, 143)  # what honcho reports when a person pressed Ctrl-C or sent SIGTERM
ADDRESSES = """
  scorer  REST http://localhost:8000/docs     gRPC localhost:50051
  agent   REST http://localhost:8001/docs     gRPC localhost:50052
  edge    http://localhost:8080               gRPC, gRPC-Web, JSON (/v1/...) and /api/v1/...
"""


def healthy() -> bool:
    """Whether every service answers and the agent reaches the scorer."""
    try:
        answers = [httpx.get(url, timeout=1.0) for url in _CHECKS]
    except httpx.HTTPError:
        return False
    return all(answer.status_code == 200 for answer in answers) and answers[1].json()["status"] == "healthy"


def _announce(stopping: threading.Event, failed: threading.Event) -> None:
    started = time.monotonic()
    while not stopping.wait(0.2):
        if healthy():
            print(f"{READY} after {time.monotonic() - started:.1f} s{ADDRESSES}  Ctrl-C stops everything.", flush=True)
            return
        if time.monotonic() - started > HEALTHY_SECONDS:
            print(
                f"vouch up: not healthy after {HEALTHY_SECONDS:.0f} s; see the lines above", file=sys.stderr, flush=True
            )
            failed.set()
            os.kill(os.getpid(), signal.SIGTERM)
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 stopped by Ctrl-C, 1 a service failed, 2 it could not start."""
    parser = argparse.ArgumentParser(prog="vouch up", description="Start every service in this terminal.")
    parser.parse_args(arguments)
    if found := taken(PORTS):
        for sentence in found:
            print(f"vouch up: {sentence}", file=sys.stderr)
        return 2
    models = Path(os.environ.get("VOUCH_MODELS_DIR", "models"))
    if not (models / "current").is_dir():
        print(
            f"vouch up: {models} holds no current model: run `vouch generate` and `vouch train` first", file=sys.stderr
        )
        return 2
    # The services are started from this installation, whatever is on the caller's path.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    environment["VOUCH_MODELS_DIR"] = str(models.resolve())
    environment.setdefault("VOUCH_AGENT_LEDGER_URL", f"sqlite:///{Path.cwd() / 'vouch_ledger.db'}")
    manager: Any = Manager(Printer(sys.stdout))
    for name, command in parse_procfile((ROOT / "Procfile").read_text()).processes.items():
        manager.add_process(name, f"exec {command}", env=environment, cwd=str(ROOT))
    stopping, failed = threading.Event(), threading.Event()
    threading.Thread(target=_announce, args=(stopping, failed), daemon=True).start()
    manager.loop()
    stopping.set()
    if manager.returncode in _STOPPED and not failed.is_set():
        return 0
    print("vouch up: a service did not run; see the lines above", file=sys.stderr)
    return 1
