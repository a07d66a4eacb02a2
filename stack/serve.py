"""`vouch serve`: scorer, agent, both REST APIs and the console in one process, for a laptop or a small shop.

Calls between them are in-process but guarded: limits, keys, deadlines, metrics and errors are those of `vouch up`. gRPC
is served too, on the configured ports; the console uses it.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import uvicorn

from agent_server import running as deciding
from agent_server.ledger import LedgerError
from agent_server.policies.yaml_reader import PolicyError
from agent_server.scoring.client import ScoringClient
from agent_server.settings import AgentSettings
from console.application import create_app
from console.settings import ConsoleSettings
from enrichment.errors import DataFileError
from ml_server.serving import running as scoring
from ml_server.settings import MlSettings
from runtime.access import SecurityError
from runtime.colours import wants_colour
from runtime.process.command_line import CANNOT_RUN, OK, CommandParser
from runtime.process.commands import command
from runtime.process.event_loop import run
from runtime.process.main import run_in_process
from runtime.process.port_base import add_port_base_option, use_port_base
from runtime.process.shutdown import limit_shutdown_time
from runtime.process.terminal import Terminal
from runtime.process.workers import PortTaken
from runtime.rpc.local import LocalHealth
from runtime.rpc.server import Server
from runtime.telemetry import logging
from stack.ports import missing_requirements, read_ports
from stack.settings import StackSettings

READY = "vouch serves"
LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = 10


def parser() -> CommandParser:
    """Return the parser of `vouch serve`."""
    result = CommandParser(
        prog="vouch serve",
        description="Serve scorer, agent, REST and the console in one process.",
        examples=("vouch serve", "vouch serve --port-base 9000"),
        codes={OK: "stopped by Ctrl-C or a signal"},
    )
    add_port_base_option(result)
    return result


@command("vouch serve", LedgerError, PolicyError, DataFileError, SecurityError, PortTaken)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    use_port_base(parser().parse_args(arguments).port_base)
    ports = {name: port for name, port in read_ports().items() if name not in ("envoy", "agent_metrics")}
    scorer, agent, stack = MlSettings.read(), AgentSettings.read(), StackSettings.read()
    if sentences := missing_requirements(ports, scorer.models_dir):
        print("\n".join(f"vouch serve: {sentence}" for sentence in sentences), file=sys.stderr)
        return CANNOT_RUN
    logging.configure("vouch")
    return run(run_in_process(scorer, lambda settings, _: serve(settings, agent, stack)))


async def serve(scorer_settings: MlSettings, agent_settings: AgentSettings, stack: StackSettings) -> None:
    """Serve until a signal. Raise LedgerError, PolicyError, DataFileError, SecurityError or PortTaken."""
    from http_bridge import agent as agent_rest
    from http_bridge import ml as scorer_rest
    from http_bridge.application import use_local_stubs

    pages, stopping = ConsoleSettings.read(), asyncio.Event()
    host, _, port = pages.listen.rpartition(":")
    if not port.isdecimal():
        raise PortTaken(f"VOUCH_CONSOLE_LISTEN={pages.listen}: `vouch serve` requires host:port")
    async with (
        scoring.running(scorer_settings, handle_signals=False) as scorer,
        deciding.running(
            agent_settings, handle_signals=False, scoring=_scoring_client(scorer, agent_settings)
        ) as agent,
        _serve_http(use_local_stubs(scorer_rest.app, _scorer_stubs(scorer)), LOOPBACK, stack.bridge_ml_port, stopping),
        _serve_http(use_local_stubs(agent_rest.app, _agent_stubs(agent)), LOOPBACK, stack.bridge_agent_port, stopping),
        _serve_http(_console_app(pages, scorer, agent), host.strip("[]"), int(port), stopping),
    ):
        draining = (each.drain_seconds + each.lame_duck_seconds for each in (scorer_settings, agent_settings))
        _install_signal_handlers(stopping, scorer, sum(draining) + 3 * _GRACE_SECONDS)
        print(f"{READY}: http://localhost:{stack.bridge_ml_port}/docs (scorer), ", end="")
        print(f"http://localhost:{stack.bridge_agent_port}/docs (agent), http://localhost:{port}/ (console), ", end="")
        print(f"gRPC localhost:{scorer.port} and localhost:{agent.port}", flush=True)
        await stopping.wait()


def _scoring_client(scorer: Server, settings: AgentSettings) -> ScoringClient:
    stubs = _scorer_stubs(scorer)
    return ScoringClient(
        stubs["scoring"], stubs["health"], settings.scorer_timeout_seconds, settings.scorer_key,
        max_batches=settings.scorer_batches,
    )  # fmt: skip


def _scorer_stubs(scorer: Server) -> dict[str, Any]:
    return {"scoring": scorer.stub(scoring.SERVICE), "health": LocalHealth(scorer.health)}


def _agent_stubs(agent: Server) -> dict[str, Any]:
    return {
        "agent": agent.stub(deciding.AGENT),
        "cases": agent.stub(deciding.CASES),
        "outcomes": agent.stub(deciding.OUTCOMES),
        "health": LocalHealth(agent.health),
    }


def _install_signal_handlers(stopping: asyncio.Event, scorer: Server, drain_seconds: float) -> None:
    loop, terminal = asyncio.get_running_loop(), Terminal()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    # SIGHUP stops the process if its terminal was closed; otherwise it reloads the model.
    loop.add_signal_handler(signal.SIGHUP, lambda: stopping.set() if terminal.is_closed() else scorer.reload.set())
    limit_shutdown_time(drain_seconds)


def _console_app(settings: ConsoleSettings, scorer: Server, agent: Server) -> Any:
    """Return the console create_app, connected to the services of this process."""
    targets = {"scorer": f"localhost:{scorer.port}", "agent": f"localhost:{agent.port}"}
    return create_app(settings.model_copy(update=targets))


@contextlib.asynccontextmanager
async def _serve_http(app: Any, host: str, port: int, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Serve an app on a port within the context; set `stopping` if it ends early. Raise PortTaken."""
    server = EmbeddedServer(
        uvicorn.Config(
            app, lifespan="on", ws="none", log_level="warning", access_log=False, proxy_headers=False, server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS, use_colors=wants_colour(sys.stderr),
        )
    )  # fmt: skip
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise PortTaken(f"cannot listen on port {port}: it is in use") from error
    with listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        serving.add_done_callback(lambda _: server.up.set())  # also if it fails to start
        await server.up.wait()
        if serving.done():
            await serving
            raise PortTaken(f"the application on port {port} did not start")
        serving.add_done_callback(lambda _: stopping.set())
        try:
            yield
        finally:
            app.state.ending.set()
            server.should_exit = True
            await serving


class EmbeddedServer(uvicorn.Server):
    """uvicorn server that leaves signals to its process, and sets `up` once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    def capture_signals(self) -> Any:
        """Install no signal handlers."""
        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then set `up`."""
        await super().startup(sockets)
        self.up.set()
