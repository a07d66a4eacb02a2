"""`python -m console`."""

import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette

from console.application import application
from console.settings import ConsoleSettings
from runtime.access import SecurityError
from runtime.process.commands import command
from runtime.process.shutdown import limit_stopping
from runtime.process.workers import PortTaken
from runtime.telemetry import logging

_GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    """Ends pages that wait for changes before it waits for them to end."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: Any = None) -> None:
        """As uvicorn starts."""
        await super().startup(sockets)
        limit_stopping(_GRACE_SECONDS)

    async def shutdown(self, sockets: Any = None) -> None:
        """As uvicorn stops."""
        self._app.state.ending.set()
        await super().shutdown(sockets)


def _where(address: str) -> dict[str, Any]:
    """An address in uvicorn's words."""
    if address.startswith("unix:"):
        return {"uds": address.removeprefix("unix:")}
    host, _, port = address.rpartition(":")
    return {"host": host.strip("[]"), "port": int(port)}


@command("python -m console", SecurityError, PortTaken)
def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    settings = ConsoleSettings.read()
    logging.configure("vouch_console")
    app = application(settings)
    config = uvicorn.Config(
        app, **_where(settings.listen), log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=_GRACE_SECONDS,
    )  # fmt: skip
    with _bound(settings.listen) as bound:
        _Server(app, config).run([bound] if bound else None)
    return 0


@contextlib.contextmanager
def _bound(address: str) -> Iterator[socket.socket | None]:
    """A socket at an address, or None for a file, which uvicorn makes. Raises PortTaken."""
    if address.startswith("unix:"):
        yield None
        return
    where = _where(address)
    family = socket.AF_INET6 if ":" in where["host"] else socket.AF_INET
    try:
        bound = socket.create_server((where["host"], where["port"]), family=family)
    except OSError as error:
        raise PortTaken(f"{address}: {error.strerror}; VOUCH_CONSOLE_LISTEN names another address") from error
    with bound:
        yield bound


if __name__ == "__main__":
    sys.exit(main())
