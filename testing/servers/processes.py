"""Real processes on free ports: start, wait, stop."""

import contextlib
import importlib
import io
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

import vouch
from testing.ledger.templates import new_ledger
from testing.servers.launching import PYTHON, ROOT, Process, launch, run
from testing.waiting import START_SECONDS, free_port, wait_for

__all__ = ["PYTHON", "ROOT", "CompletedCommand", "Process", "Stack", "answers", "call", "launch", "run"]


def answers(url: str, status: int = 200) -> Callable[[], bool]:
    """Return a function that checks whether a URL answers with a status."""

    def check() -> bool:
        try:
            return httpx.get(url, timeout=1.0).status_code == status
        except httpx.HTTPError:
            return False

    return check


@dataclass
class Stack:
    """The services on ports of their own. Each can be started and stopped separately."""

    folder: Path
    models: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("ml", "agent", "rest_ml", "rest_agent", "edge", "console"):
            self.ports[name] = free_port()

    def address(self, name: str) -> str:
        """Return host and port of a service."""
        return f"127.0.0.1:{self.ports[name]}"

    def url(self, name: str) -> str:
        """Return the URL of an HTTP service."""
        return f"http://{self.address(name)}"

    def environment(self) -> dict[str, str]:
        """Return the environment of the processes, without the caller's own settings."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
        return clean | {
            "VOUCH_MODELS_DIR": str(self.models),
            "VOUCH_ML_LISTEN": self.address("ml"),
            "VOUCH_ML_METRICS_LISTEN": "",
            "VOUCH_AGENT_METRICS_LISTEN": "",
            "VOUCH_AGENT_LISTEN": self.address("agent"),
            "VOUCH_AGENT_SCORER": self.address("ml"),
            "VOUCH_AGENT_LEDGER_URL": f"sqlite:///{self.folder / 'ledger.db'}",
            "VOUCH_HTTP_SCORER": self.address("ml"),
            "VOUCH_HTTP_AGENT": self.address("agent"),
            "VOUCH_CONSOLE_LISTEN": self.address("console"),
            "VOUCH_CONSOLE_AGENT": self.address("agent"),
            "VOUCH_CONSOLE_SCORER": self.address("ml"),
            "VOUCH_STACK_BRIDGE_ML_PORT": str(self.ports["rest_ml"]),
            "VOUCH_STACK_BRIDGE_AGENT_PORT": str(self.ports["rest_agent"]),
            **self.settings,
        }

    def command(self, name: str) -> list[str]:
        """Return the command that starts a service."""
        port = str(self.ports.get(name))
        uvicorn = [PYTHON, "-m", "uvicorn", "--log-level", "warning", "--port", port]
        moved = [f"--{key}={self.ports[value]}" for key, value in EDGE_OPTIONS.items()]
        return {
            "ml": [PYTHON, "-m", "ml_server"],
            "agent": [PYTHON, "-m", "agent_server"],
            "rest_ml": [*uvicorn, "http_bridge.ml:app"],
            "rest_agent": [*uvicorn, "http_bridge.agent:app"],
            "edge": [PYTHON, "envoy/run.py", *moved],
            "console": [PYTHON, "-m", "console"],
            "one": [PYTHON, "vouch.py", "serve"],  # all but the edge
        }[name]

    def start(self, *names: str) -> None:
        """Start services without waiting."""
        ledger = self.folder / "ledger.db"
        if {"agent", "one"} & {*names} and "VOUCH_AGENT_LEDGER_URL" not in self.settings and not ledger.exists():
            new_ledger(ledger)
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = launch(
                    self.command(name), env=self.environment(), stdout=log.fileno(), stderr=log.fileno()
                )

    def wait_until_healthy(self) -> None:
        """Wait until everything that was started answers."""
        checks = {
            "rest_ml": answers(self.url("rest_ml") + "/api/v1/health"),
            "rest_agent": self.agent_is("healthy"),
            "edge": answers(self.url("edge") + "/v1/agent"),
            "console": answers(self.url("console") + "/console/health"),
        }
        for name, check in checks.items():
            if name in self.running:
                wait_for(lambda check=check: check() or self._one_ended(), what=f"health of {name}")  # type: ignore[misc]

    def _one_ended(self) -> bool:
        """Return False, or raise RuntimeError with the log of a started service that has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name)[-2000:]}")
        return False

    def agent_is(self, status: str) -> Callable[[], bool]:
        """Return whether the agent's health is `status`."""

        def check() -> bool:
            try:
                answer = httpx.get(self.url("rest_agent") + "/api/v1/health", timeout=2.0)
            except httpx.HTTPError:
                return False
            return bool(answer.json()["status"] == status)

        return check

    def stop(self, name: str, seconds: float = START_SECONDS) -> int:
        """Send SIGTERM to a service and return its exit code."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(seconds)

    def log(self, name: str) -> str:
        """Return the log of a service."""
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        """Terminate everything, wait, and kill what has not ended in time."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


EDGE_OPTIONS = {
    "edge": "edge",
    "scorer": "ml",
    "agent": "agent",
    "bridge-ml": "rest_ml",
    "bridge-agent": "rest_agent",
    "console": "console",
}


@dataclass(frozen=True)
class CompletedCommand:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def call(command: str, *arguments: str) -> CompletedCommand:
    """Run a `vouch` command in this process: its output is the same, and its libraries are imported once."""
    output, error = io.StringIO(), io.StringIO()
    module = importlib.import_module(vouch.COMMANDS[command][0])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
            code: int = module.main(list(arguments))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return CompletedCommand(code, output.getvalue(), error.getvalue())
