"""Bodies as they arrive: JSON or lines of JSON, plain or gzip, each bounded in time and in what it unpacks to.

Reading never holds the event loop for long: between pieces of a few KiB others have their turn.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from fastapi import Request
from starlette.exceptions import HTTPException

from http_bridge.errors import BodyTooLarge
from http_bridge.settings import HttpSettings

LINES = "application/x-ndjson"
AT_ONCE: Final = 64
"""Lines that are answered together, at most."""
PIECE: Final = 16 << 10
"""Bytes, unpacked, that are looked at in one go."""
_PACKED_PIECE, _STEPS = 4 << 10, 16
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
        raise _late() from None


async def read_body(request: Request, most: int) -> bytes:
    """The body, unpacked; raise BodyTooLarge as soon as it is known to be larger than `most` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(most)) or int(declared) > most):
        raise BodyTooLarge(most)
    pieces, size = [], 0
    async for piece in _unpacked(request):
        size += len(piece)
        if size > most:
            raise BodyTooLarge(most)
        pieces.append(piece)
    return b"".join(pieces)


async def read_lines(request: Request, settings: HttpSettings) -> AsyncGenerator[list[bytes]]:
    """Groups of the lines that have arrived, without blank ones; it waits for more only where none is left.

    Raises HTTPException or BodyTooLarge behind the last group where the next line comes too late, a line is longer than a body
    may be, or all together are more than VOUCH_HTTP_MAX_LINES or VOUCH_HTTP_MAX_LINES_BYTES allow.
    """
    clock, group, begun = asyncio.get_running_loop().time, list[bytes](), bytearray()
    left, bytes_left = settings.max_lines, settings.max_lines_bytes
    pieces = _unpacked(request)
    until = clock() + settings.body_seconds
    following: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(pieces, None))
            await asyncio.sleep(0)  # others have their turn, and what has arrived is there afterwards
            if group and not following.done():
                yield group
                group, until = [], clock() + settings.body_seconds  # from here on: meanwhile lines were answered
            await asyncio.wait({following}, timeout=max(0.0, until - clock()))
            if not following.done():
                raise _late()
            if (piece := following.result()) is None:
                break
            bytes_left -= len(piece)
            begun += piece
            if b"\n" in piece:
                *lines, rest = bytes(begun).split(b"\n")
                begun = bytearray(rest)
                for line in lines[: max(0, left)]:
                    if line.strip():
                        group.append(line)
                        if len(group) == AT_ONCE:
                            yield group
                            group = []
                left -= len(lines)
                until = clock() + settings.body_seconds
            if problem := _beyond(settings, left, bytes_left, len(begun)):
                if group:
                    yield group
                raise problem
        if begun.strip():
            group.append(bytes(begun))
        if group:
            yield group
    finally:
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
            if not following.cancelled():
                following.exception()  # it was told, or nobody is there to be told
        await pieces.aclose()


def _beyond(settings: HttpSettings, lines_left: int, bytes_left: int, begun: int) -> Exception | None:
    """What is raised where lines are beyond a limit: the answer says which."""
    if begun > settings.max_body_bytes:
        return BodyTooLarge(settings.max_body_bytes)
    if lines_left < 0:
        return HTTPException(
            413, f"more than {settings.max_lines:,} lines in one request: send the rest in another one"
        )
    if bytes_left < 0:
        most = settings.max_lines_bytes
        return HTTPException(413, f"the lines have more than {most:,} bytes: send the rest in another request")
    return None


def _late() -> HTTPException:
    return HTTPException(408, _LATE, {"Connection": "close"})


async def _unpacked(request: Request) -> AsyncGenerator[bytes]:
    """The body in pieces of at most PIECE bytes, however well it was packed."""
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    if packing in ("", "identity"):
        async for chunk in request.stream():
            for start in range(0, len(chunk), PIECE):
                yield chunk[start : start + PIECE]
        return
    if packing != "gzip":
        raise HTTPException(415, "the content encoding must be gzip, or none", {"Accept-Encoding": "gzip"})
    try:
        async for piece in _gunzipped(request.stream()):
            yield piece
    except zlib.error:
        raise HTTPException(400, "the body is no gzip, though its content encoding says so") from None


async def _gunzipped(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Gzip unpacked; raise zlib.error where it is none. Files that were joined are unpacked one after another."""
    unpacking, steps = zlib.decompressobj(wbits=_GZIP), 0
    async for chunk in chunks:
        for start in range(0, len(chunk), _PACKED_PIECE):
            packed = chunk[start : start + _PACKED_PIECE]
            while packed:
                if unpacking.eof:
                    unpacking = zlib.decompressobj(wbits=_GZIP)
                if piece := unpacking.decompress(packed, PIECE):
                    yield piece
                packed = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail
                steps += 1
                if steps % _STEPS == 0:  # a file may hold millions of empty ones
                    await asyncio.sleep(0)
    if not unpacking.eof:
        raise HTTPException(400, "the body's gzip ends before it is whole")
