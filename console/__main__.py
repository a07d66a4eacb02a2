"""`python -m console`."""

import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette

from console.application import create_app
from console.settings import ConsoleSettings
from runtime.access import SecurityError
from runtime.process.commands import command
from runtime.process.shutdown import limit_shutdown_time
from runtime.process.workers import PortTaken
from runtime.telemetry import logging

_GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    """uvicorn's server. On shutdown it ends event streams before it waits for open requests."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: Any = None) -> None:
        """Start as uvicorn does, with a limit on the shutdown time."""
        await super().startup(sockets)
        limit_shutdown_time(_GRACE_SECONDS)

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop as uvicorn does, after ending event streams."""
        self._app.state.ending.set()
        await super().shutdown(sockets)


def _listen_options(address: str) -> dict[str, Any]:
    """Return an address as uvicorn's options."""
    if address.startswith("unix:"):
        return {"uds": address.removeprefix("unix:")}
    host, _, port = address.rpartition(":")
    return {"host": host.strip("[]"), "port": int(port)}


@command("python -m console", SecurityError, PortTaken)
def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    settings = ConsoleSettings.read()
    logging.configure("vouch_console")
    app = create_app(settings)
    config = uvicorn.Config(
        app, **_listen_options(settings.listen), log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=_GRACE_SECONDS,
    )  # fmt: skip
    with _bound(settings.listen) as bound:
        _Server(app, config).run([bound] if bound else None)
    return 0


@contextlib.contextmanager
def _bound(address: str) -> Iterator[socket.socket | None]:
    """Yield a socket that is bound to an address; None for a UNIX socket, which uvicorn creates. Raises PortTaken."""
    if address.startswith("unix:"):
        yield None
        return
    options = _listen_options(address)
    family = socket.AF_INET6 if ":" in options["host"] else socket.AF_INET
    try:
        bound = socket.create_server((options["host"], options["port"]), family=family)
    except OSError as error:
        raise PortTaken(f"{address}: {error.strerror}; set VOUCH_CONSOLE_LISTEN to another address") from error
    with bound:
        yield bound


if __name__ == "__main__":
    sys.exit(main())
