"""Bodies as they arrive: JSON or lines of JSON, plain or gzip, each bounded in time and in what it unpacks to."""

import asyncio
import zlib
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.exceptions import HTTPException

from http_bridge.errors import BodyTooLarge
from http_bridge.settings import HttpSettings

LINES = "application/x-ndjson"
_GZIP = 31
"""What zlib calls its format with gzip's header and trailer."""
_LATE = "the request did not arrive in time"


def kind_of(request: Request) -> str:
    """The content type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request, settings: HttpSettings, most: int | None = None) -> bytes:
    """The bytes of a body that says it is JSON, in time and not too long (`most`, by default VOUCH_HTTP_MAX_BODY_BYTES)."""
    kind = kind_of(request)
    # A web page may send anything else to another origin without asking first.
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "the content type must be application/json")
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await read_body(request, most or settings.max_body_bytes)
    except TimeoutError:
        raise HTTPException(408, _LATE, {"Connection": "close"}) from None


async def read_body(request: Request, most: int) -> bytes:
    """The body, unpacked; raise BodyTooLarge as soon as it is known to be larger than `most` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise BodyTooLarge(most)
    chunks, size = [], 0
    async for chunk in _unpacked(request, most):
        size += len(chunk)
        if size > most:
            raise BodyTooLarge(most)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_lines(request: Request, settings: HttpSettings) -> AsyncIterator[bytes]:
    """Lines of a body of any length, each not longer than a body may be, and the next one always in time."""
    most, begun, clock = settings.max_body_bytes, bytearray(), asyncio.get_running_loop().time
    chunks = aiter(_unpacked(request, most))
    until = clock() + settings.body_seconds
    while True:
        try:
            async with asyncio.timeout_at(until):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            break
        except TimeoutError:
            raise HTTPException(408, _LATE, {"Connection": "close"}) from None
        begun += chunk
        if b"\n" in chunk:
            *lines, rest = bytes(begun).split(b"\n")
            begun = bytearray(rest)
            for line in filter(bytes.strip, lines):
                yield line
            until = clock() + settings.body_seconds  # from here on: meanwhile lines were answered
        if len(begun) > most:
            raise BodyTooLarge(most)
    if begun.strip():
        yield bytes(begun)


async def _unpacked(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body's parts; of gzip never more than `most` bytes at once, however well it was packed."""
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    if packing in ("", "identity"):
        async for chunk in request.stream():
            yield chunk
        return
    if packing != "gzip":
        raise HTTPException(415, "the content encoding must be gzip, or none", {"Accept-Encoding": "gzip"})
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        async for chunk in request.stream():
            packed = chunk
            while packed:
                if unpacking.eof:  # files that were joined are unpacked one after another
                    unpacking = zlib.decompressobj(wbits=_GZIP)
                yield unpacking.decompress(packed, most + 1)
                packed = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail
    except zlib.error:
        raise HTTPException(400, "the body is no gzip, though its content encoding says so") from None
    if not unpacking.eof:
        raise HTTPException(400, "the body's gzip ends before it is whole")
