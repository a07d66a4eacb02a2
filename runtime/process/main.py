"""The command of a server, `python -m ml_server` say: options, settings, one process or several."""

import argparse
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
from runtime.process.event_loop import run, tune_gc
from runtime.process.terminal import finish_output
from runtime.process.workers import CANNOT_START, PortTaken, Supervisor, begin, cores, reserve
from runtime.settings import ServerSettings, SettingsError
from runtime.telemetry import logging
from runtime.web.exposition import Exposition

S = TypeVar("S", bound=ServerSettings)
_FAILURES: tuple[type[Exception], ...] = (SettingsError, SecurityError, PortTaken)
Serve = Callable[[S, bool], Coroutine[Any, Any, None]]
"""Serves until a signal; told the settings, and whether this process is one worker of several."""


def main(
    module: str,
    settings_type: type[S],
    serve: Serve[S],
    failures: tuple[type[Exception], ...] = (),
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a server; return its exit code: 0 stopped by a signal, 2 it could not start.

    `failures` are errors of the service's own that a user can mend.
    """
    prefix = settings_type.prefix
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=f"Settings: {prefix}..., see docs/settings.md.",
        allow_abbrev=False,  # a misspelt --insecure must not open the server to the network
    )
    parser.add_argument("--workers", metavar="N", help="processes that share the port, or `auto`: one on each core")
    parser.add_argument("--insecure", action="store_true", help="serve other machines without keys, with the role shop")
    options = parser.parse_args(arguments)
    given = {"workers": options.workers} if options.workers else {}
    logging.configure(module)
    try:
        settings = settings_type.read(**given, **({"insecure": True} if options.insecure else {}))
        count = settings.workers or cores()
        if count == 1:
            return run(one_process(settings, serve))
        return _several(module, settings, count, failures)
    except failures + _FAILURES as error:
        print(f"{module}: {error}", file=sys.stderr)
        return CANNOT_START
    finally:
        finish_output()


async def one_process(settings: S, serve: Serve[S], *, worker: bool = False) -> int:
    """Serve in this process, with its metrics unless it is one worker of several. Raises SecurityError or PortTaken."""
    tune_gc(first=True)
    # A batch computes in a thread; the loop, which answers and refuses, must not wait Python's 5 ms for each of its turns.
    sys.setswitchinterval(0.0005)
    shown = None if worker else _shown(settings)
    try:
        await serve(settings, worker)
    finally:
        if shown:
            shown.close()
    return 0


def _several(module: str, settings: ServerSettings, count: int, failures: tuple[type[Exception], ...]) -> int:
    with reserve(settings.listen) as held, tempfile.TemporaryDirectory(prefix="vouch-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # for the workers: here the metrics are made already
        listen = f"{settings.listen.rpartition(':')[0]}:{held.getsockname()[1]}"
        shown = _shown(settings, folder)
        own = settings.model_copy(update={"listen": listen})
        try:
            return run(Supervisor(_work, (module, own, failures), f"{module}.__main__", count, shown).run())
        finally:
            if shown:
                shown.close()


def _work(started: Connection, module: str, settings: ServerSettings, failures: tuple[type[Exception], ...]) -> None:
    """What a worker process does. The fork server has imported the module already."""
    begin(started)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.configure(module)
    serve: Serve[ServerSettings] = importlib.import_module(f"{module}.__main__").serve
    try:
        code = run(one_process(settings, serve, worker=True))
    except failures + _FAILURES as error:
        print(f"{module}: {error}", file=sys.stderr)
        code = CANNOT_START
    finish_output()
    raise SystemExit(code)


def _shown(settings: ServerSettings, folder: str | None = None) -> Exposition | None:
    """The metrics where the settings want them, those that workers keep in a folder."""
    address = settings.metrics_listen
    if not address:
        return None
    variable = f"{settings.prefix}METRICS_LISTEN"
    require_loopback(address, guarded=False, insecure=settings.insecure, variable=variable)
    try:
        return Exposition(address, folder)
    except (OSError, ValueError) as error:
        raise PortTaken(f"cannot show metrics on {address}: the port is in use or the address is not here") from error
