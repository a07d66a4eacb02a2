"""A channel whose streams take no room of its other calls.

A server bounds the calls of one connection (VOUCH_..._MAX_CONCURRENT_STREAMS), and gRPC holds further ones back. A stream lives
for as long as somebody listens: a hundred watchers on the connection of all other calls would stop these.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import grpc

from runtime.access.tls import ClientTls
from runtime.client.channels import open_channel

STREAMS_PER_CONNECTION: Final = 32
"""Far fewer than a server takes."""


class SplitChannel:
    """What generated stubs need of a channel. Streams get connections of their own, each a bounded number of them."""

    def __init__(self, target: str, tls: ClientTls | None = None) -> None:
        """Connect at the first call. Raises SecurityError where certificates cannot be read."""
        self._calls = open_channel(target, tls)
        self._open: Callable[[], grpc.aio.Channel] = lambda: open_channel(target, tls, own_connection=True)
        self.streams: dict[grpc.aio.Channel, int] = {}

    async def __aenter__(self) -> Self:
        """Nothing to do: gRPC connects at the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        for channel in (self._calls, *self.streams):
            await channel.close()

    def unary_unary(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel."""
        return self._calls.unary_unary(*arguments, **named)

    def unary_stream(self, *arguments: Any, **named: Any) -> Any:
        """As grpc.aio.Channel, on a connection of streams."""
        methods: dict[grpc.aio.Channel, Any] = {}

        def call(request: Any, **options: Any) -> Any:
            channel = self._channel_with_room()
            method = methods.get(channel)
            if method is None:
                method = methods[channel] = channel.unary_stream(*arguments, **named)
            stream = method(request, **options)
            self.streams[channel] += 1
            stream.add_done_callback(lambda _: self._end(channel))
            return stream

        return call

    def _channel_with_room(self) -> grpc.aio.Channel:
        for channel, count in self.streams.items():
            if count < STREAMS_PER_CONNECTION:
                return channel
        channel = self._open()
        self.streams[channel] = 0
        return channel

    def _end(self, channel: grpc.aio.Channel) -> None:
        self.streams[channel] -= 1
