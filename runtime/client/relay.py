"""Streams of a service that a web page follows: until the service ends them, the page goes, or the server stops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc


async def relay_stream(call: Any, first: Any, stream: AsyncIterator[Any], ending: asyncio.Event) -> AsyncGenerator[Any]:
    """The messages of a call, `first` and what `stream` has after it; none once `ending` is set, and none after an error.

    Whoever goes away has to close this: what is still waited for then ends too, and with it the place of a watcher.
    """
    stopping, message = asyncio.create_task(ending.wait()), first
    following: asyncio.Future[Any] | None = None
    try:
        while message is not None:
            yield message
            following = asyncio.ensure_future(anext(stream, None))
            await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                return
            try:
                message = following.result()
            except grpc.aio.AioRpcError:  # the caller comes back, and is told then
                return
    finally:
        stopping.cancel()
        if hasattr(call, "cancel"):
            call.cancel()
        if following is not None and not following.done():
            following.cancel()
            await asyncio.wait({following})
