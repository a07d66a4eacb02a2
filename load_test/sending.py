"""Open-loop sending: requests start when the clock says so, whether or not earlier ones were answered.

A closed loop waits for a slow server and so hides that it is slow; here a stall shows in every request that was meant to
be sent during it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator

import httpx

from load_test.keys import key_headers
from load_test.orders import Order
from load_test.outcomes import Outcome


async def send(client: httpx.AsyncClient, url: str, order: Order, due: float) -> Outcome:
    """Send one order, meant for the moment `due` of the monotonic clock."""
    identity = str(order.body["transaction_id"])
    try:
        answer = await client.post(url, json=order.body)
        seconds = time.monotonic() - due
        if answer.status_code != 200:
            return Outcome(identity, order.is_abuse, seconds, error=f"HTTP {answer.status_code}: {_detail(answer)}")
        body = answer.json()
        return Outcome(identity, order.is_abuse, seconds, body["decision"], body["legitimacy_score"])
    except httpx.HTTPError as error:
        return Outcome(
            identity, order.is_abuse, time.monotonic() - due, error=f"{type(error).__name__}: {error}".strip(": ")
        )
    except (ValueError, KeyError, TypeError) as error:
        return Outcome(
            identity, order.is_abuse, time.monotonic() - due, error=f"not an answer of Vouch: {type(error).__name__}"
        )


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])[:120]
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase


async def run(
    url: str,
    orders: Iterator[Order],
    *,
    rate: float,
    duration: float | None,
    concurrency: int,
    done: Callable[[Outcome], None],
) -> None:
    """Send `rate` orders a second until `duration` seconds are over (for ever if None), then wait for the answers.

    At most `concurrency` requests are under way; one that has to wait for a place still counts from its due time.
    """
    places = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with (
        httpx.AsyncClient(timeout=10.0, limits=limits, headers=key_headers(url)) as client,
        asyncio.TaskGroup() as tasks,
    ):
        started, number = time.monotonic(), 0

        async def one(order: Order, due: float) -> None:
            try:
                done(await send(client, url, order, due))
            finally:
                places.release()

        while duration is None or number / rate < duration:
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await places.acquire()
            tasks.create_task(one(next(orders), due))
            number += 1
