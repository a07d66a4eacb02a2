"""Streams of a service as server-sent events, which a browser reads, and takes up again by itself where they end."""

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

from http_bridge.errors import AWAY
from http_bridge.json.mapping import to_rest
from http_bridge.middleware.access import metadata
from runtime.client.relay import relay_stream
from runtime.process.shutdown import limit_stopping

DRAIN_SECONDS = 30.0
"""Limit for the requests under way when the server stops: longer than a call behind may take, and a body to arrive."""


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


async def events(request: Request, method: Any, message: Message) -> EventStream:
    """The stream of a service; what refuses it is an answer as ever, since its first message is waited for."""
    call = method(message, metadata=metadata(request))
    stream = aiter(call)
    first = await anext(stream, None)
    if first is None:
        raise HTTPException(503, AWAY)
    told = _told(relay_stream(call, first, stream, request.app.state.ending))
    return EventStream(told, headers={"cache-control": "no-store", "x-accel-buffering": "no"})


async def _told(messages: AsyncGenerator[Any]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(messages):
        async for message in messages:
            yield _event(message)


def _event(change: Any) -> bytes:
    """The cursor as id, what happened as event; without a case a comment, which keeps the way open."""
    values = to_rest(change)
    if not change.HasField("case"):
        return f": nothing new\nid: {change.cursor}\n\n".encode()
    return f"id: {change.cursor}\nevent: {values['kind']}\ndata: ".encode() + dumps(values["case"]) + b"\n\n"


@contextlib.contextmanager
def ends_with_signals(ending: asyncio.Event) -> Iterator[None]:
    """Sets `ending` where a signal stops the server: whoever handles it now handles it after that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, before = asyncio.get_running_loop(), dict[int, Any]()

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(ending.set)
        handler = before[number]
        if callable(handler):
            handler(number, frame)

    for number in (int(signal.SIGTERM), int(signal.SIGINT)):
        before[number] = signal.signal(number, heard)
    release = limit_stopping(DRAIN_SECONDS)
    try:
        yield
    finally:
        release()
        for number, handler in before.items():
            signal.signal(number, handler)
