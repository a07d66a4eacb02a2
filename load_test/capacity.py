"""How many orders a second a deployment answers right now, so that a load can be chosen that it carries."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import httpx

from load_test.keys import key_headers
from load_test.orders import Order
from load_test.sending import send

CALLERS = 4
RETRIES = 5


async def measure_capacity(url: str, orders: Sequence[Order], seconds: float, run: str) -> float:
    """Answered orders a second, with a few callers that each wait for their answer.

    `run` goes into the transaction ids: an order that was decided before would be answered from the ledger, which is
    faster. Raises RuntimeError where nothing is answered.
    """
    numbered = enumerate(itertools.cycle(orders))
    answered, error = 0, ""
    async with httpx.AsyncClient(timeout=30.0, headers=key_headers(url)) as client:
        begun = time.monotonic()

        async def ask(orders: Iterator[tuple[int, Order]]) -> None:
            nonlocal answered, error
            while time.monotonic() - begun < seconds:
                number, order = next(orders)
                own = replace(order, body=order.body | {"transaction_id": f"{run}-{number}"})
                outcome = await send(client, url, own, time.monotonic(), RETRIES)
                answered += not outcome.error
                error = outcome.error or error

        await asyncio.gather(*(ask(numbered) for _ in range(CALLERS)))
        if not answered:
            raise RuntimeError(f"no order was answered: {error}")
        return answered / (time.monotonic() - begun)
