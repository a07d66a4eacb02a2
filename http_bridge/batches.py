"""Batch requests: a JSON list of orders, or JSON lines whose results are streamed while more lines arrive."""

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
from http_bridge.json.lists import NotAList, split_list
from http_bridge.json.order_reader import read_order
from http_bridge.json.transaction import REPEATED
from http_bridge.request_body import GROUP_SIZE, NDJSON, content_type, read_json, read_lines
from http_bridge.settings import HttpSettings
from runtime.errors import reason_of

MAX_ORDERS: Final = 1000
"""Orders in one list."""
_PARSED_AT_ONCE, _PARSED_BYTES = 8, 16 << 10
"""Orders, or bytes of orders, that are parsed before the event loop runs other tasks."""
Result = dict[str, Any]
"""`status` of a single request, and its `result`, or `detail` and `reason` of its error."""
BatchHandler = Callable[[Sequence[Transaction]], AsyncGenerator[Result]]
"""Yields the results of orders, in their order, each as soon as it is known."""


async def answer_batch(request: Request, handler: BatchHandler, settings: HttpSettings) -> Response:
    """Answer a list or lines. The result of an invalid order is its error; the others are not affected."""
    if content_type(request) == NDJSON:
        groups = read_lines(request, settings)
        # Read before the response starts, so that an error of the request gets its own status.
        first: list[bytes] = await anext(groups, [])
        return _LinesResponse(_stream_results(first, groups, handler, settings.max_refused_lines))
    orders = await _parse_list(await read_json(request, settings, settings.max_batch_bytes), settings)
    parts: list[bytes] = []
    for start in range(0, len(orders), GROUP_SIZE):
        async with contextlib.aclosing(_results_of(orders[start : start + GROUP_SIZE], handler)) as results:
            async for result in results:
                parts.append(dumps({"index": len(parts), **result}))
    return Response(b'{"results":[' + b",".join(parts) + b"]}", media_type="application/json")


class _LinesResponse(Response):
    """Streams lines. Starlette's StreamingResponse waits for disconnects, which consumes parts of the request."""

    media_type = NDJSON

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


async def _parse_list(body: bytes, settings: HttpSettings) -> list[Transaction | Result]:
    """Return the orders of a list, or their errors. Raises HTTPException or ValidationError if it is not a list."""
    try:
        orders = [order async for order in split_list(body, "transactions", MAX_ORDERS, settings.max_body_bytes)]
    except NotAList as error:
        detail: Any = [{"loc": ["body", "transactions"], "msg": str(error), "type": "batch"}]
        raise HTTPException(422, detail) from None
    return await _parse_orders(orders, in_list=True)


async def _stream_results(
    first: Sequence[bytes], groups: AsyncGenerator[list[bytes]], handler: BatchHandler, max_invalid: int
) -> AsyncGenerator[bytes]:
    """Yield results as lines. An error that ends the stream is its last line, because the status was sent already."""
    index, invalid, group = 0, 0, first
    async with contextlib.aclosing(groups):
        try:
            while group:
                async with contextlib.aclosing(_results_of(await _parse_orders(group), handler)) as results:
                    async for result in results:
                        yield dumps({"index": index, **result}) + b"\n"
                        index, invalid = index + 1, invalid + (result["status"] == 422)
                if invalid >= max_invalid:
                    raise HTTPException(422, f"{invalid:,} lines are not orders; the rest was not read")
                group = await anext(groups, [])
        except ClientDisconnect:
            return
        except (HTTPException, BodyTooLarge) as error:
            yield dumps({"index": index, **_final_result(error)}) + b"\n"


def _final_result(error: HTTPException | BodyTooLarge) -> Result:
    if isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
    else:
        status, detail = 413, f"the line is longer than {error.args[0]:,} bytes"
    return {"status": status, "detail": detail, "reason": reason_of_status(status)}


async def _parse_orders(bodies: Sequence[bytes], *, in_list: bool = False) -> list[Transaction | Result]:
    """Return each order, or its error. A duplicate key makes a whole list invalid: raises ValidationError."""
    parsed: list[Transaction | Result] = []
    size = 0
    for body in bodies:
        size += len(body) + _PARSED_BYTES // _PARSED_AT_ONCE
        if size > _PARSED_BYTES:
            size = 0
            await asyncio.sleep(0)
        try:
            order = Transaction()
            read_order(body, order)
            parsed.append(order)
        except ValidationError as error:
            if in_list and error.errors(include_url=False, include_input=False)[0]["type"] == REPEATED:
                raise
            parsed.append({"status": 422, "detail": detail_of(error), "reason": reason_of_status(422)})
    return parsed


async def _results_of(parsed: Sequence[Transaction | Result], handler: BatchHandler) -> AsyncGenerator[Result]:
    """Yield results in the order of the request, each as soon as it and those before it are known."""
    orders = [one for one in parsed if isinstance(one, Transaction)]
    async with contextlib.aclosing(handler(orders)) as results:
        for one in parsed:
            yield await anext(results) if isinstance(one, Transaction) else one


def result_from_rpc_error(error: grpc.aio.AioRpcError) -> Result:
    """Return the result of an order whose gRPC call failed."""
    return result_from_status(error.code(), rpc_status.from_call(error))


def result_from_status(code: grpc.StatusCode, rich: status_pb2.Status | None) -> Result:
    """Return the result of an order from the status that a service returned for it."""
    status, detail = http_error(code, rich, "body")
    return {"status": status, "detail": detail, "reason": reason_of(rich) or reason_of_status(status)}


async def answer_individually(
    orders: Sequence[Transaction], answer: Callable[[Transaction], Awaitable[Result]]
) -> AsyncGenerator[Result]:
    """Answer orders by concurrent calls, one each. Calls for the same transaction_id run in order, one by one."""
    last = dict[str, asyncio.Task[Result]]()

    async def answer_after(order: Transaction, previous: asyncio.Task[Result] | None) -> Result:
        if previous is not None:
            await asyncio.wait([previous])
        return await answer(order)

    tasks = []
    for order in orders:
        task = asyncio.create_task(answer_after(order, last.get(order.transaction_id)))
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


async def answer_in_one_call(
    orders: Sequence[Transaction], answer: Callable[[Sequence[Transaction]], Awaitable[Sequence[Result]]]
) -> AsyncGenerator[Result]:
    """Answer orders by one call."""
    if orders:
        for result in await answer(orders):
            yield result
