"""Open-loop sender: requests start at fixed times, whether or not earlier ones were answered.

A closed loop waits for a slow server and so hides the delay (coordinated omission). Here a stall shows in every request
that was due during it.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import httpx

from load_test.keys import key_headers
from load_test.orders import Order
from load_test.outcomes import Outcome

RETRYABLE_STATUSES: Final = frozenset({429, 503})
"""Statuses worth a retry: overload, or a service that starts or stops."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0


async def send(client: httpx.AsyncClient, url: str, order: Order, due: float, retries: int = 0) -> Outcome:
    """Send one order that is due at `due` of the monotonic clock.

    Retry up to `retries` times on 429, 503 and broken connections, after the delay in Retry-After. A decision is
    recorded once per order, so a retry does no harm.
    """
    attempt = 0
    while True:
        outcome, pause = await _attempt(client, url, order, due)
        if pause is None or attempt >= retries:
            return replace(outcome, retries=attempt)
        # Jitter: callers that were refused together must not retry together.
        await asyncio.sleep(min(pause * 2**attempt, _LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.5))
        attempt += 1


async def _attempt(client: httpx.AsyncClient, url: str, order: Order, due: float) -> tuple[Outcome, float | None]:
    """Send once; return the outcome and the seconds before a retry, or None if a retry is useless."""
    transaction_id = str(order.body["transaction_id"])

    def failure(error: str) -> Outcome:
        return Outcome(transaction_id, order.is_abuse, time.monotonic() - due, error=error)

    try:
        response = await client.post(url, json=order.body)
        seconds = time.monotonic() - due
        if response.status_code != 200:
            pause = _retry_after(response) if response.status_code in RETRYABLE_STATUSES else None
            return failure(f"HTTP {response.status_code}: {_detail(response)}"), pause
        body = response.json()
        return Outcome(transaction_id, order.is_abuse, seconds, body["decision"], body["legitimacy_score"]), None
    except httpx.HTTPError as error:
        pause = _FIRST_PAUSE_SECONDS if isinstance(error, httpx.TransportError) else None
        return failure(f"{type(error).__name__}: {error}".strip(": ")), pause
    except (ValueError, KeyError, TypeError) as error:
        return failure(f"invalid response: {type(error).__name__}"), None


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds in Retry-After, within limits."""
    try:
        return min(max(float(response.headers.get("retry-after", "")), 0.0), _LONGEST_PAUSE_SECONDS)
    except ValueError:
        return _FIRST_PAUSE_SECONDS


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])[:120]
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase


async def run(
    url: str,
    orders: Iterator[Order],
    *,
    rate: float,
    duration: float | None,
    concurrency: int,
    on_outcome: Callable[[Outcome], None],
    retries: int = 0,
) -> None:
    """Send `rate` orders per second for `duration` seconds (without end if None), then wait for the responses.

    Temporarily refused orders are retried up to `retries` times. At most `concurrency` requests are in flight; the
    latency of a request that waits for a slot counts from its due time.
    """
    slots = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    with _raise_first_cause():
        async with (
            httpx.AsyncClient(timeout=10.0, limits=limits, headers=key_headers(url)) as client,
            asyncio.TaskGroup() as tasks,
        ):
            started, number = time.monotonic(), 0

            async def send_one(order: Order, due: float) -> None:
                try:
                    on_outcome(await send(client, url, order, due, retries))
                finally:
                    slots.release()

            while duration is None or number / rate < duration:
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await slots.acquire()
                tasks.create_task(send_one(next(orders), due))
                number += 1


@contextlib.contextmanager
def _raise_first_cause() -> Iterator[None]:
    """Raise only the first exception of a group: if our output is closed, several tasks fail at once."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
