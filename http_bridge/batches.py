"""Many orders in one call: a list in JSON, or lines of JSON that are answered line by line while they still arrive."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final

import grpc
from fastapi import Request, Response
from google.rpc import status_pb2
from grpc_status import rpc_status
from orjson import dumps
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.errors import BodyTooLarge, detail_of, http_error, reason_of_status
from http_bridge.json.lists import NotAList, elements
from http_bridge.json.mapping import to_transaction
from http_bridge.json.transaction import REPEATED, parse
from http_bridge.receiving import AT_ONCE, LINES, kind_of, read_json, read_lines
from http_bridge.settings import HttpSettings
from runtime.errors import reason_of

MOST: Final = 1000
"""Orders in one list."""
_PARSED_AT_ONCE, _PARSED_BYTES = 8, 16 << 10
"""After so many orders, or bytes of them, are read in one go others have their turn."""
Result = dict[str, Any]
"""`status` as a call of its own would have, and `result`, or `detail` and `reason` as in its error."""
Answer = Callable[[Sequence[Transaction]], AsyncGenerator[Result]]
"""Answers orders, in their order, each as soon as it can."""


async def batch(request: Request, answer: Answer, settings: HttpSettings) -> Response:
    """Answer a list or lines. A bad order is http_error in its place and hinders no other."""
    if kind_of(request) == LINES:
        groups = read_lines(request, settings)
        first: list[bytes] = await anext(
            groups, []
        )  # what is wrong with the call itself still gets a status of its own
        return _Lines(_streamed(first, groups, answer, settings.max_refused_lines))
    orders = await _listed(await read_json(request, settings, settings.max_batch_bytes), settings)
    parts: list[bytes] = []
    for start in range(0, len(orders), AT_ONCE):
        async with contextlib.aclosing(_answered(orders[start : start + AT_ONCE], answer)) as results:
            async for one in results:
                parts.append(dumps({"index": len(parts), **one}))
    return Response(b'{"results":[' + b",".join(parts) + b"]}", media_type="application/json")


class _Lines(Response):
    """Lines that are sent as they are made. Starlette's own listens meanwhile for who hangs up, and takes the body's parts."""

    media_type = LINES

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        async with contextlib.aclosing(self._lines):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for line in self._lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _listed(body: bytes, settings: HttpSettings) -> list[Transaction | Result]:
    """The orders of a list, or what is wrong with them. Raises HTTPException or ValidationError where it is no list."""
    try:
        orders = [order async for order in elements(body, "transactions", MOST, settings.max_body_bytes)]
    except NotAList as error:
        detail: Any = [{"loc": ["body", "transactions"], "msg": str(error), "type": "batch"}]
        raise HTTPException(422, detail) from None
    return await _read(orders, in_list=True)


async def _streamed(
    first: Sequence[bytes], groups: AsyncGenerator[list[bytes]], answer: Answer, most_refused: int
) -> AsyncGenerator[bytes]:
    """Results as lines. What ends a stream that has begun is http_error in its last line: its status was sent long ago."""
    at, refused, group = 0, 0, first
    async with contextlib.aclosing(groups):
        try:
            while group:
                async with contextlib.aclosing(_answered(await _read(group), answer)) as results:
                    async for one in results:
                        yield dumps({"index": at, **one}) + b"\n"
                        at, refused = at + 1, refused + (one["status"] == 422)
                if refused >= most_refused:
                    raise HTTPException(422, f"{refused:,} lines are no orders: the rest was not read")
                group = await anext(groups, [])
        except ClientDisconnect:
            return  # nobody is there to be http_error
        except (HTTPException, BodyTooLarge) as error:
            yield dumps({"index": at, **_ended(error)}) + b"\n"


def _ended(error: HTTPException | BodyTooLarge) -> Result:
    if isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
    else:
        status, detail = 413, f"the line is longer than {error.args[0]:,} bytes"
    return {"status": status, "detail": detail, "reason": reason_of_status(status)}


async def _read(bodies: Sequence[bytes], *, in_list: bool = False) -> list[Transaction | Result]:
    """Orders, each read or refused. A key that stands twice in a list is wrong with the list: raises ValidationError."""
    read: list[Transaction | Result] = []
    size = 0
    for body in bodies:
        size += len(body) + _PARSED_BYTES // _PARSED_AT_ONCE
        if size > _PARSED_BYTES:
            size = 0
            await asyncio.sleep(0)
        try:
            read.append(to_transaction(parse(body)))
        except ValidationError as error:
            if in_list and error.errors(include_url=False, include_input=False)[0]["type"] == REPEATED:
                raise
            read.append({"status": 422, "detail": detail_of(error), "reason": reason_of_status(422)})
    return read


async def _answered(read: Sequence[Transaction | Result], answer: Answer) -> AsyncGenerator[Result]:
    """The results of some orders, each as soon as it and those before it are there."""
    orders = [one for one in read if isinstance(one, Transaction)]
    async with contextlib.aclosing(answer(orders)) as given:
        for one in read:
            yield await anext(given) if isinstance(one, Transaction) else one


def failed(error: grpc.aio.AioRpcError) -> Result:
    """The result of an order whose call a service refused, or could not answer."""
    return refused(error.code(), rpc_status.from_call(error))


def refused(code: grpc.StatusCode, rich: status_pb2.Status | None) -> Result:
    """The result of an order that a service refused."""
    status, detail = http_error(code, rich, "body")
    return {"status": status, "detail": detail, "reason": reason_of(rich) or reason_of_status(status)}


async def each(
    orders: Sequence[Transaction], answer: Callable[[Transaction], Awaitable[Result]]
) -> AsyncGenerator[Result]:
    """Orders answered by calls of their own at once. The same order twice in a list is asked about in its order."""
    last = dict[str, asyncio.Task[Result]]()

    async def one(order: Transaction, before: asyncio.Task[Result] | None) -> Result:
        if before is not None:
            await asyncio.wait([before])
        return await answer(order)

    tasks = []
    for order in orders:
        task = asyncio.create_task(one(order, last.get(order.transaction_id)))
        last[order.transaction_id] = task
        tasks.append(task)
    try:
        for task in tasks:
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def together(
    orders: Sequence[Transaction], answer: Callable[[Sequence[Transaction]], Awaitable[Sequence[Result]]]
) -> AsyncGenerator[Result]:
    """Orders answered by one call."""
    if orders:
        for result in await answer(orders):
            yield result
