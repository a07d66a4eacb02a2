"""Many orders in one call: a list in JSON, or lines of JSON that are answered line by line while they still arrive."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import grpc
from fastapi import Request, Response
from google.rpc import status_pb2
from grpc_status import rpc_status
from orjson import JSONDecodeError, dumps, loads
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.dialect.bodies import parse, refuse_more_keys
from http_bridge.dialect.spelling import EXTRA, to_transaction
from http_bridge.errors import BodyTooLarge, detail_of, told
from http_bridge.receiving import LINES, kind_of, read_json, read_lines
from http_bridge.settings import HttpSettings

AT_ONCE: Final = 64
"""Lines that are answered together."""
MOST: Final = 1000
"""Orders in one list."""
Result = dict[str, Any]
"""`status` as a call of its own would have, and `result`, or `detail` as in its error."""
Answer = Callable[[Sequence[Transaction]], Awaitable[Sequence[Result]]]
"""Answers orders, in their order."""


async def batch(request: Request, answer: Answer, settings: HttpSettings) -> Response:
    """Answer a list or lines. A bad order is told in its place and hinders no other."""
    if kind_of(request) == LINES:
        lines = read_lines(request, settings)
        first = await _group(lines)  # what is wrong with the call itself still gets a status of its own
        return _Lines(_streamed(first, lines, answer))
    body = await read_json(request, settings, settings.max_batch_bytes)
    orders = _listed(body)
    results: list[Result] = []
    for start in range(0, len(orders), AT_ONCE):
        results += await _answered(orders[start : start + AT_ONCE], answer)
    return Response(
        dumps({"results": [{"index": at, **one} for at, one in enumerate(results)]}), media_type="application/json"
    )


class _Lines(Response):
    """Lines that are sent as they are made. Starlette's own listens meanwhile for who hangs up, and takes the body's parts."""

    media_type = LINES

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for line in self._lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _listed(body: bytes) -> list[bytes]:
    try:
        whole = loads(body)
    except JSONDecodeError:
        whole = None
    orders = whole.get("transactions") if isinstance(whole, dict) and set(whole) == {"transactions"} else None
    if not isinstance(orders, list):
        raise _refused("the body is one object whose `transactions` is a list of orders")
    if len(orders) > MOST:
        raise _refused(f"at most {MOST} orders at once; lines of JSON ({LINES}) may be any number")
    named = [order for order in orders if isinstance(order, dict)]
    extras = [extra for order in named if isinstance(extra := order.get(EXTRA), dict)]
    refuse_more_keys(body, 1 + sum(map(len, named)) + sum(map(len, extras)))  # else the last of two would count
    return [dumps(order) for order in orders]


def _refused(text: str) -> HTTPException:
    detail: Any = [{"loc": ["body", "transactions"], "msg": text, "type": "batch"}]
    return HTTPException(422, detail)


async def _streamed(first: Sequence[bytes], lines: AsyncIterator[bytes], answer: Answer) -> AsyncIterator[bytes]:
    """Results as lines. What ends a stream that has begun is told in its last line: its status was sent long ago."""
    at, group = 0, first
    try:
        while group:
            for one in await _answered(group, answer):
                yield dumps({"index": at, **one}) + b"\n"
                at += 1
            group = await _group(lines)
    except ClientDisconnect:
        return  # nobody is there to be told
    except (HTTPException, BodyTooLarge) as error:
        yield dumps({"index": at, **_ended(error)}) + b"\n"


async def _group(lines: AsyncIterator[bytes]) -> list[bytes]:
    """The next lines, as many as are answered together."""
    found: list[bytes] = []
    while len(found) < AT_ONCE:
        try:
            found.append(await anext(lines))
        except StopAsyncIteration:
            break
    return found


def _ended(error: HTTPException | BodyTooLarge) -> Result:
    if isinstance(error, HTTPException):
        return {"status": error.status_code, "detail": error.detail}
    return {"status": 413, "detail": f"the line is longer than {error.args[0]:,} bytes"}


async def _answered(bodies: Sequence[bytes], answer: Answer) -> list[Result]:
    """The results of some orders; those that cannot be read have theirs at once."""
    results: list[Result | None] = [None] * len(bodies)
    orders: list[Transaction] = []
    for at, body in enumerate(bodies):
        try:
            orders.append(to_transaction(parse(body)))
        except ValidationError as error:
            results[at] = {"status": 422, "detail": detail_of(error)}
    given = iter(await answer(orders) if orders else ())
    return [one if one is not None else next(given) for one in results]


def failed(error: grpc.aio.AioRpcError) -> Result:
    """The result of an order whose call a service refused, or could not answer."""
    return refused(error.code(), rpc_status.from_call(error))


def refused(code: grpc.StatusCode, rich: status_pb2.Status | None) -> Result:
    """The result of an order that a service refused."""
    status, detail = told(code, rich, "body")
    return {"status": status, "detail": detail}


async def each(
    orders: Sequence[Transaction], answer: Callable[[Transaction], Awaitable[Result]], most: int
) -> list[Result]:
    """Orders answered one by one, so many at once. The same order twice in a list is asked about in its order."""
    free, last = asyncio.Semaphore(most), dict[str, asyncio.Task[Result]]()

    async def one(order: Transaction, before: asyncio.Task[Result] | None) -> Result:
        if before is not None:
            await asyncio.wait([before])
        async with free:
            return await answer(order)

    tasks = []
    for order in orders:
        task = asyncio.create_task(one(order, last.get(order.transaction_id)))
        last[order.transaction_id] = task
        tasks.append(task)
    return list(await asyncio.gather(*tasks))
