"""The command of a server, such as `python -m ml_server`: options, settings, one process or several."""

import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from runtime.access import SecurityError
from runtime.access.loopback import require_loopback
from runtime.extras import MissingExtra
from runtime.process.command_line import CommandParser
from runtime.process.event_loop import run, tune_gc
from runtime.process.terminal import flush_output
from runtime.process.workers import CANNOT_START, PortTaken, Supervisor, count_cores, reserve_address, set_start_pipe
from runtime.settings import ServerSettings, SettingsError
from runtime.telemetry import logging
from runtime.web.exposition import Exposition

S = TypeVar("S", bound=ServerSettings)
_FAILURES: tuple[type[Exception], ...] = (MissingExtra, SettingsError, SecurityError, PortTaken)
Serve = Callable[[S, bool], Coroutine[Any, Any, None]]
"""Serves until a signal; takes the settings, and whether this process is one of several workers."""


def main(
    module: str,
    settings_type: type[S],
    serve: Serve[S],
    failures: tuple[type[Exception], ...] = (),
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a server; return its exit code: 0 if stopped by a signal, 2 if it could not start.

    `failures` are errors of the service that a user can fix.
    """
    prefix = settings_type.prefix
    parser = CommandParser(
        prog=f"python -m {module}",
        description=f"Settings: {prefix}..., see docs/reference/settings.md.",
        examples=(f"python -m {module}", f"python -m {module} --workers auto"),
    )
    parser.add_argument("--workers", metavar="N", help="processes that share the port, or `auto` for one per core")
    parser.add_argument("--insecure", action="store_true", help="serve other machines without keys, with the role shop")
    options = parser.parse_args(arguments)
    overrides = {"workers": options.workers} if options.workers else {}
    logging.configure(module)
    try:
        settings = settings_type.read(**overrides, **({"insecure": True} if options.insecure else {}))
        count = settings.workers or count_cores()
        if count == 1:
            return run(run_in_process(settings, serve))
        return _run_workers(module, settings, count, failures)
    except failures + _FAILURES as error:
        print(f"{module}: {error}", file=sys.stderr)
        return CANNOT_START
    finally:
        flush_output()


async def run_in_process(settings: S, serve: Serve[S], *, worker: bool = False) -> int:
    """Serve in this process; expose metrics unless it is one of several workers. Raise SecurityError or PortTaken."""
    tune_gc(first=True)
    # Batches compute in a thread. The event loop must not wait the default 5 ms for the GIL each time.
    sys.setswitchinterval(0.0005)
    exposition = None if worker else _start_exposition(settings)
    try:
        await serve(settings, worker)
    finally:
        if exposition:
            exposition.close()
    return 0


def _run_workers(module: str, settings: ServerSettings, count: int, failures: tuple[type[Exception], ...]) -> int:
    with reserve_address(settings.listen) as held, tempfile.TemporaryDirectory(prefix="vouch-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # for the workers; the metrics of this process already exist
        listen = f"{settings.listen.rpartition(':')[0]}:{held.getsockname()[1]}"
        exposition = _start_exposition(settings, folder)
        worker_settings = settings.model_copy(update={"listen": listen})
        try:
            supervisor = Supervisor(
                _run_worker, (module, worker_settings, failures), f"{module}.__main__", count, exposition
            )
            return run(supervisor.run())
        finally:
            if exposition:
                exposition.close()


def _run_worker(
    started: Connection, module: str, settings: ServerSettings, failures: tuple[type[Exception], ...]
) -> None:
    """Run a worker process. The fork server has already imported the module."""
    set_start_pipe(started)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.configure(module)
    serve: Serve[ServerSettings] = importlib.import_module(f"{module}.__main__").serve
    try:
        code = run(run_in_process(settings, serve, worker=True))
    except failures + _FAILURES as error:
        print(f"{module}: {error}", file=sys.stderr)
        code = CANNOT_START
    flush_output()
    raise SystemExit(code)


def _start_exposition(settings: ServerSettings, folder: str | None = None) -> Exposition | None:
    """Expose the metrics if the settings ask for it; those of workers are in `folder`."""
    address = settings.metrics_listen
    if not address:
        return None
    variable = f"{settings.prefix}METRICS_LISTEN"
    require_loopback(address, guarded=False, insecure=settings.insecure, variable=variable)
    try:
        return Exposition(address, folder)
    except (OSError, ValueError) as error:
        raise PortTaken(
            f"cannot expose metrics on {address}: the port is in use or the address is not local"
        ) from error
