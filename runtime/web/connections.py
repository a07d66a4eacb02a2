"""Connection limits and timeouts for uvicorn, which never closes a connection that does not send a whole request.

uvicorn creates a protocol object per connection; `bound_connections` replaces its class by one with timeouts. This
works however uvicorn was started: an application finds the configuration of its server when the server starts the
lifespan.
"""

import asyncio
import contextlib
import resource
from typing import Any, Final

from uvicorn import Config

from runtime.web.settings import WebSettings

_MAX_FILES: Final = 65_536
_OTHER_FILES: Final = 64
"""File descriptors that a process needs for other things than connections."""
_LISTENERS: Final = 4
"""Maximum per process: `vouch serve` has two REST servers, the console and metrics."""
_BODY = b'{"detail":"too many connections; try again","reason":"SERVICE_UNAVAILABLE","request_id":""}'
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def find_config(receive: Any) -> Config | None:
    """Return the configuration of the uvicorn that runs the lifespan of an application; None for another server."""
    config = getattr(getattr(receive, "__self__", None), "config", None)
    return config if isinstance(config, Config) else None


def bound_connections(config: Config, settings: WebSettings) -> None:
    """Set timeouts and a limit for all connections that this uvicorn accepts from now on."""
    if not config.loaded:
        config.load()
    config.ws_protocol_class = None  # unused, and it would bypass the connection count
    pool = _Pool(settings)
    config.http_protocol_class = type(
        "BoundedProtocol", (_BoundedConnection, config.http_protocol_class), {"pool": pool}
    )


def connection_limit(requested: int) -> int:
    """Return the connection limit of one listener: `requested`, or less if the limit of open files requires it."""
    files = raise_file_limit()
    return max(1, min(requested, (files - _OTHER_FILES) // _LISTENERS))


def raise_file_limit() -> int:
    """Raise the open file limit of this process as far as possible; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MAX_FILES
    limit = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft < limit:
        with contextlib.suppress(OSError, ValueError):  # some systems have a lower limit than they report
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return limit
    return soft


class _Pool:
    """Connections of one listener: their number, and those that wait for a request, oldest first."""

    def __init__(self, settings: WebSettings) -> None:
        self.settings, self.limit = settings, connection_limit(settings.max_connections)
        self.open = 0
        self.waiting: dict[_BoundedConnection, None] = {}

    def add(self, connection: "_BoundedConnection") -> bool:
        """Count a connection. Above the limit, close the one that has waited longest; return False if none waits."""
        self.open += 1
        if self.open > self.limit:
            oldest = next(iter(self.waiting), None)
            if oldest is None:
                return False
            oldest.end()
        self.waiting[connection] = None
        return True

    def remove(self, connection: "_BoundedConnection") -> None:
        """Remove a closed connection."""
        self.open -= 1
        self.waiting.pop(connection, None)


class _BoundedConnection(asyncio.Protocol):
    """Mixin for uvicorn's protocol: timeouts for headers, for unread bodies, and for slow readers.

    There is no timeout while an application handles a request: the application limits the time for a body or a stream.
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
        """Start the header timeout; above the connection limit respond with 503."""
        super().connection_made(transport)
        self._counted = True
        if self.pool.add(self):
            self._deadline = self.loop.call_later(self.pool.settings.header_seconds, self.end)
        else:
            transport.write(_TOO_MANY)
            self.end()

    def data_received(self, data: bytes) -> None:
        """Pass data to uvicorn. The header timeout starts with the first byte; later bytes do not extend it."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self.pool.waiting.pop(self, None)
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
        elif self._deadline is None and not self.transport.is_closing():
            # Headers of the next request, or a body that was not read before its response was complete.
            self._deadline = self.loop.call_later(self.pool.settings.header_seconds, self.end)

    def on_response_complete(self) -> None:
        """Wait for the next request; limit the time for the client to read if the connection is closing."""
        super().on_response_complete()  # type: ignore[misc]
        if self.transport.is_closing():
            self.end()
        elif self._counted and self.cycle.response_complete:
            self.pool.waiting[self] = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection between two requests."""
        self.end()

    def pause_writing(self) -> None:
        """Start the write timeout: the client reads more slowly than we write."""
        super().pause_writing()
        self._schedule_abort()

    def resume_writing(self) -> None:
        """Stop the write timeout: the client has read data."""
        super().resume_writing()
        if self._write_deadline is not None and not self.transport.is_closing():
            self._write_deadline.cancel()
            self._write_deadline = None

    def end(self) -> None:
        """Close; drop the part of the response that the client does not read in time."""
        self.pool.waiting.pop(self, None)
        if not self.transport.is_closing():
            self.transport.close()
        self._schedule_abort()

    def _schedule_abort(self) -> None:
        if self._write_deadline is None:
            self._write_deadline = self.loop.call_later(self.pool.settings.write_seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Uncount the connection and cancel its timeouts."""
        if self._counted:
            self._counted = False
            self.pool.remove(self)
        super().connection_lost(exc)
        for timer in (self._deadline, self._write_deadline):
            if timer is not None:
                timer.cancel()
