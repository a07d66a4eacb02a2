"""`python -m console`."""

import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette

from console.application import application
from console.settings import ConsoleSettings
from runtime.access import SecurityError
from runtime.process.commands import command

_GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    """Ends pages that wait for changes before it waits for them to end."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

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


@command("python -m console", SecurityError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    settings = ConsoleSettings.read()
    app = application(settings)
    config = uvicorn.Config(
        app, **_where(settings.listen), log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=_GRACE_SECONDS,
    )  # fmt: skip
    _Server(app, config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
