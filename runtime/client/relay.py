"""Relays a gRPC stream to a web page until the service ends it, the page disconnects, or the server stops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc


async def relay_stream(call: Any, first: Any, stream: AsyncIterator[Any], ending: asyncio.Event) -> AsyncGenerator[Any]:
    """Yield `first` and the messages of `stream`. Stops when `ending` is set or on an error.

    The consumer must close this generator when its client disconnects: that cancels the call and frees its watcher
    slot.
    """
    stop, message = asyncio.create_task(ending.wait()), first
    next_message: asyncio.Future[Any] | None = None
    try:
        while message is not None:
            yield message
            next_message = asyncio.ensure_future(anext(stream, None))
            await asyncio.wait({next_message, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not next_message.done():
                return
            try:
                message = next_message.result()
            except grpc.aio.AioRpcError:  # the client reconnects, and gets the error then
                return
    finally:
        stop.cancel()
        if hasattr(call, "cancel"):
            call.cancel()
        if next_message is not None and not next_message.done():
            next_message.cancel()
            await asyncio.wait({next_message})
