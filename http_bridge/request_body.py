"""Request bodies: JSON or JSON lines, plain or gzip, limited in time and in decompressed size.

Bodies are read in chunks of a few KiB, and the event loop runs other tasks between chunks.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from fastapi import Request
from starlette.exceptions import HTTPException

from http_bridge.errors import BodyTooLarge
from http_bridge.settings import HttpSettings
from runtime.time_limit import run_within

NDJSON = "application/x-ndjson"
GROUP_SIZE: Final = 64
"""Maximum number of lines that are answered together."""
CHUNK_BYTES: Final = 16 << 10
"""Decompressed bytes that are processed at once."""
_COMPRESSED_CHUNK_BYTES, _STEPS = 4 << 10, 16
_GZIP = 31
"""zlib's `wbits` for gzip's header and trailer."""


def content_type(request: Request) -> str:
    """Return the content type without its parameters, in lower case."""
    return _header(request, b"content-type").partition(";")[0].strip().lower()


def _header(request: Request, name: bytes) -> str:
    """Return the first header of this name; empty if there is none. Much faster than starlette's headers."""
    for key, value in request.scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


async def read_json(request: Request, settings: HttpSettings, limit: int | None = None) -> bytes:
    """Return a JSON body; check its content type, time, and size (`limit`, default VOUCH_HTTP_MAX_BODY_BYTES)."""
    kind = content_type(request)
    # A web page may send any other type to another origin without a preflight request.
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "the content type must be application/json")
    try:
        return await run_within(settings.body_seconds, read_body(request, limit or settings.max_body_bytes))
    except TimeoutError:
        raise _body_timeout() from None


async def read_body(request: Request, limit: int) -> bytes:
    """Return the decompressed body. Raises BodyTooLarge as soon as it exceeds `limit` bytes."""
    declared = _header(request, b"content-length")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise BodyTooLarge(limit)
    chunks, size = [], 0
    async for chunk in _decompressed(request):
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(limit)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_lines(request: Request, settings: HttpSettings) -> AsyncGenerator[list[bytes]]:
    """Yield groups of the lines that have arrived, without blank ones. Waits for more only when all were yielded.

    Raises HTTPException or BodyTooLarge after the last group: the next line did not arrive within
    VOUCH_HTTP_BODY_SECONDS, a line exceeds VOUCH_HTTP_MAX_BODY_BYTES, or all together exceed VOUCH_HTTP_MAX_LINES or
    VOUCH_HTTP_MAX_LINES_BYTES.
    """
    clock, group, partial = asyncio.get_running_loop().time, list[bytes](), bytearray()
    lines_left, bytes_left = settings.max_lines, settings.max_lines_bytes
    chunks = _decompressed(request)
    deadline = clock() + settings.body_seconds
    next_chunk: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            next_chunk = asyncio.ensure_future(anext(chunks, None))
            await asyncio.sleep(0)  # runs other tasks, and completes `next_chunk` if the chunk has arrived
            if group and not next_chunk.done():
                yield group
                group = []
                deadline = clock() + settings.body_seconds  # excludes the time in which the group was answered
            await asyncio.wait({next_chunk}, timeout=max(0.0, deadline - clock()))
            if not next_chunk.done():
                raise _body_timeout()
            if (chunk := next_chunk.result()) is None:
                break
            bytes_left -= len(chunk)
            partial += chunk
            if b"\n" in chunk:
                *lines, rest = bytes(partial).split(b"\n")
                partial = bytearray(rest)
                for line in lines[: max(0, lines_left)]:
                    if line.strip():
                        group.append(line)
                        if len(group) == GROUP_SIZE:
                            yield group
                            group = []
                lines_left -= len(lines)
                deadline = clock() + settings.body_seconds
            if error := _limit_error(settings, lines_left, bytes_left, len(partial)):
                if group:
                    yield group
                raise error
        if partial.strip():
            group.append(bytes(partial))
        if group:
            yield group
    finally:
        if next_chunk is not None:
            next_chunk.cancel()
            await asyncio.wait({next_chunk})
            if not next_chunk.cancelled():
                next_chunk.exception()  # mark it as retrieved: it was raised above, or the caller has disconnected
        await chunks.aclose()


def _limit_error(settings: HttpSettings, lines_left: int, bytes_left: int, line_bytes: int) -> Exception | None:
    """Return the error for the first limit that the lines exceed; None if they exceed none."""
    if line_bytes > settings.max_body_bytes:
        return BodyTooLarge(settings.max_body_bytes)
    if lines_left < 0:
        return HTTPException(
            413, f"more than {settings.max_lines:,} lines in one request; send the rest in another one"
        )
    if bytes_left < 0:
        limit = settings.max_lines_bytes
        return HTTPException(413, f"the lines have more than {limit:,} bytes; send the rest in another request")
    return None


def _body_timeout() -> HTTPException:
    return HTTPException(408, "the request did not arrive in time", {"Connection": "close"})


async def _decompressed(request: Request) -> AsyncGenerator[bytes]:
    """Yield the decompressed body in chunks of at most CHUNK_BYTES, whatever the compression ratio."""
    encoding = _header(request, b"content-encoding").strip().lower()
    if encoding in ("", "identity"):
        async for chunk in request.stream():
            for start in range(0, len(chunk), CHUNK_BYTES):
                yield chunk[start : start + CHUNK_BYTES]
        return
    if encoding != "gzip":
        raise HTTPException(415, "the content encoding must be gzip or none", {"Accept-Encoding": "gzip"})
    try:
        async for chunk in _gunzip(request.stream()):
            yield chunk
    except zlib.error:
        raise HTTPException(400, "the body is not valid gzip, but the content encoding is gzip") from None


async def _gunzip(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Decompress gzip, including concatenated gzip files. Raises zlib.error if it is invalid."""
    decompressor, steps = zlib.decompressobj(wbits=_GZIP), 0
    async for chunk in chunks:
        for start in range(0, len(chunk), _COMPRESSED_CHUNK_BYTES):
            compressed = chunk[start : start + _COMPRESSED_CHUNK_BYTES]
            while compressed:
                if decompressor.eof:
                    decompressor = zlib.decompressobj(wbits=_GZIP)
                if decompressed := decompressor.decompress(compressed, CHUNK_BYTES):
                    yield decompressed
                compressed = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
                steps += 1
                if steps % _STEPS == 0:  # a body may contain millions of empty gzip files
                    await asyncio.sleep(0)
    if not decompressor.eof:
        raise HTTPException(400, "the body's gzip data is incomplete")
