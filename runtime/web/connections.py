"""Bounds on the connections of uvicorn, which by itself never closes one that does not send a whole request.

uvicorn makes a protocol object for each connection; `bound_connections` has it make one with deadlines. This works however
uvicorn was started, since an application finds the configuration of its server where the server starts the lifespan.
"""

import asyncio
import contextlib
import resource
from typing import Any, Final

from uvicorn import Config

from runtime.web.settings import WebSettings

_MOST_FILES: Final = 65_536
_OTHER_FILES: Final = 64
"""File descriptors that a process needs for anything but connections."""
_LISTENERS: Final = 4
"""Of one process at most: `vouch serve` has REST twice, the console and metrics."""
_BODY = b'{"detail":"too many connections; try again","reason":"SERVICE_UNAVAILABLE","request_id":""}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def find_config(receive: Any) -> Config | None:
    """Return the configuration of the uvicorn that calls an application's lifespan; None under another server."""
    config = getattr(getattr(receive, "__self__", None), "config", None)
    return config if isinstance(config, Config) else None


def bound_connections(config: Config, settings: WebSettings) -> None:
    """Give every connection that this uvicorn accepts from now on deadlines, and bound their number."""
    if not config.loaded:
        config.load()
    config.ws_protocol_class = None  # nothing here speaks it, and it would take connections out of the count
    pool = _Pool(settings)
    config.http_protocol_class = type(
        "BoundedProtocol", (_BoundedConnection, config.http_protocol_class), {"pool": pool}
    )


def most_connections(wanted: int) -> int:
    """Return how many connections one listener can have, of `wanted`, within the limit of open files."""
    files = raise_file_limit()
    return max(1, min(wanted, (files - _OTHER_FILES) // _LISTENERS))


def raise_file_limit() -> int:
    """Raise this process's limit of open files as far as it goes; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_FILES
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < most:
        with contextlib.suppress(OSError, ValueError):  # some systems have a lower limit than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            return most
    return soft


class _Pool:
    """The connections of one listener: how many there are, and which of them wait for a request, longest first."""

    def __init__(self, settings: WebSettings) -> None:
        self.settings, self.most = settings, most_connections(settings.max_connections)
        self.open = 0
        self.waiting: dict[_BoundedConnection, None] = {}

    def add(self, connection: "_BoundedConnection") -> bool:
        """Count a connection; close the one that waits longest where there are too many. False where none waits."""
        self.open += 1
        if self.open > self.most:
            oldest = next(iter(self.waiting), None)
            if oldest is None:
                return False
            oldest.end()
        self.waiting[connection] = None
        return True

    def remove(self, connection: "_BoundedConnection") -> None:
        """Forget a connection that is closed."""
        self.open -= 1
        self.waiting.pop(connection, None)


class _BoundedConnection(asyncio.Protocol):
    """Stands in front of uvicorn's protocol: deadlines for headers, for bodies that nobody reads, and for slow readers.

    While an application works on a request there is no deadline here: it knows itself how long a body may take, and how
    long a stream of answers.
    """

    pool: _Pool
    cycle: Any = None
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.timeout_keep_alive = self.pool.settings.idle_seconds
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None
        self._counted = False

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, but not for ever; over the bound of connections answer 503."""
        super().connection_made(transport)
        self._counted = True
        if self.pool.add(self):
            self._deadline = self.loop.call_later(self.pool.settings.header_seconds, self.end)
        else:
            transport.write(_FULL)
            self.end()

    def data_received(self, data: bytes) -> None:
        """Have uvicorn parse it. The deadline of a request begins with its first byte, and no further byte moves it."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self.pool.waiting.pop(self, None)
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
        elif self._deadline is None and not self.transport.is_closing():
            # The next request's headers, or a body that was not read before its answer was complete.
            self._deadline = self.loop.call_later(self.pool.settings.header_seconds, self.end)

    def on_response_complete(self) -> None:
        """Wait for the next request; a connection that is to be closed may not wait for its reader without end."""
        super().on_response_complete()  # type: ignore[misc]
        if self.transport.is_closing():
            self.end()
        elif self._counted and self.cycle.response_complete:
            self.pool.waiting[self] = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection between two requests."""
        self.end()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered: it has a while to take something."""
        super().pause_writing()
        self._abort_later()

    def resume_writing(self) -> None:
        """The client took something."""
        super().resume_writing()
        if self._write_deadline is not None and not self.transport.is_closing():
            self._write_deadline.cancel()
            self._write_deadline = None

    def end(self) -> None:
        """Close; what the client does not take of the answer in time is dropped."""
        self.pool.waiting.pop(self, None)
        if not self.transport.is_closing():
            self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        if self._write_deadline is None:
            self._write_deadline = self.loop.call_later(self.pool.settings.write_seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the count, and forget all deadlines."""
        if self._counted:
            self._counted = False
            self.pool.remove(self)
        super().connection_lost(exc)
        for timer in (self._deadline, self._write_deadline):
            if timer is not None:
                timer.cancel()
