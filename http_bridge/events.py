"""gRPC streams as server-sent events. Browsers read these, and reconnect by themselves."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from types import FrameType
from typing import Any

from fastapi import Request
from google.protobuf.message import Message
from orjson import dumps
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from http_bridge.errors import UPSTREAM_UNAVAILABLE
from http_bridge.json.mapping import to_rest
from http_bridge.middleware.access import metadata
from runtime.client.relay import relay_stream
from runtime.process.shutdown import limit_shutdown_time

DRAIN_SECONDS = 30.0
"""Shutdown timeout for requests in progress: longer than an upstream call plus the arrival of a body."""


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


async def stream_events(request: Request, method: Any, message: Message) -> EventStream:
    """Return a service's stream as events. Waits for the first message, so that an error gets its own status."""
    call = method(message, metadata=metadata(request))
    stream = aiter(call)
    first = await anext(stream, None)
    if first is None:
        raise HTTPException(503, UPSTREAM_UNAVAILABLE)
    body = encode_events(relay_stream(call, first, stream, request.app.state.ending))
    return EventStream(body, headers={"cache-control": "no-store", "x-accel-buffering": "no"})


async def encode_events(messages: AsyncGenerator[Any]) -> AsyncIterator[bytes]:
    """Yield each message as a server-sent event; close the messages at the end."""
    async with contextlib.aclosing(messages):
        async for message in messages:
            yield _event(message)


def _event(change: Any) -> bytes:
    """Return an event with cursor and kind; for a change without a case a comment, which keeps the connection open."""
    values = to_rest(change)
    if not change.HasField("case"):
        return f": nothing new\nid: {change.cursor}\n\n".encode()
    return f"id: {change.cursor}\nevent: {values['kind']}\ndata: ".encode() + dumps(values["case"]) + b"\n\n"


@contextlib.contextmanager
def set_on_signal(ending: asyncio.Event) -> Iterator[None]:
    """Set `ending` on SIGTERM or SIGINT, then call the handler that was installed before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, before = asyncio.get_running_loop(), dict[int, Any]()

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(ending.set)
        handler = before[number]
        if callable(handler):
            handler(number, frame)

    for number in (int(signal.SIGTERM), int(signal.SIGINT)):
        before[number] = signal.signal(number, on_signal)
    release = limit_shutdown_time(DRAIN_SECONDS)
    try:
        yield
    finally:
        release()
        for number, handler in before.items():
            signal.signal(number, handler)
