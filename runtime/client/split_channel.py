"""A channel that keeps streams and unary calls on separate connections.

A server limits the calls per connection (VOUCH_..._MAX_CONCURRENT_STREAMS), and gRPC queues further calls. Streams are
long-lived: a hundred watchers on a shared connection would block all unary calls.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import grpc

from runtime.access.tls import ClientTls
from runtime.client.channels import open_channel

STREAMS_PER_CONNECTION: Final = 32
"""Well below the limit of the servers."""


class SplitChannel:
    """The part of a channel that generated stubs use. Streams get connections of their own, with a limit for each."""

    def __init__(self, target: str, tls: ClientTls | None = None) -> None:
        """Prepare the channel; gRPC connects at the first call. Raise SecurityError if certificates cannot be read."""
        self._calls = open_channel(target, tls)
        self._open: Callable[[], grpc.aio.Channel] = lambda: open_channel(target, tls, own_connection=True)
        self.streams: dict[grpc.aio.Channel, int] = {}

    async def __aenter__(self) -> Self:
        """Return the channel; gRPC connects at the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        for channel in (self._calls, *self.streams):
            await channel.close()

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        """Like grpc.aio.Channel.unary_unary."""
        return self._calls.unary_unary(*arguments, **named)

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        """Like grpc.aio.Channel.unary_stream, on a connection for streams."""
        methods: dict[grpc.aio.Channel, Any] = {}

        def call(request: Any, **options: Any) -> Any:
            channel = self._available_channel()
            method = methods.get(channel)
            if method is None:
                method = methods[channel] = channel.unary_stream(*arguments, **named)
            stream = method(request, **options)
            self.streams[channel] += 1
            stream.add_done_callback(lambda _: self._release(channel))
            return stream

        return call

    def _available_channel(self) -> grpc.aio.Channel:
        for channel, count in self.streams.items():
            if count < STREAMS_PER_CONNECTION:
                return channel
        channel = self._open()
        self.streams[channel] = 0
        return channel

    def _release(self, channel: grpc.aio.Channel) -> None:
        self.streams[channel] -= 1
