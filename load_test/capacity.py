"""Measurement of the current capacity of a deployment in orders per second, to choose a load it can handle."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import httpx

from load_test.keys import key_headers
from load_test.open_loop import send
from load_test.orders import Order

CALLERS = 4
RETRIES = 5


async def measure_capacity(url: str, orders: Sequence[Order], seconds: float, run: str) -> float:
    """Return the answered orders per second of CALLERS sequential callers.

    `run` becomes part of the transaction ids: a decided order would be answered from the ledger, which is faster. Raise
    RuntimeError if no order is answered.
    """
    numbered = enumerate(itertools.cycle(orders))
    answered, error = 0, ""
    async with httpx.AsyncClient(timeout=30.0, headers=key_headers(url)) as client:
        started = time.monotonic()

        async def send_orders(orders: Iterator[tuple[int, Order]]) -> None:
            nonlocal answered, error
            while time.monotonic() - started < seconds:
                number, order = next(orders)
                renamed = replace(order, body=order.body | {"transaction_id": f"{run}-{number}"})
                outcome = await send(client, url, renamed, time.monotonic(), RETRIES)
                answered += not outcome.error
                error = outcome.error or error

        await asyncio.gather(*(send_orders(numbered) for _ in range(CALLERS)))
        if not answered:
            raise RuntimeError(f"no order was answered: {error}")
        return answered / (time.monotonic() - started)
