"""Open-loop sending: requests start when the clock says so, whether or not earlier ones were answered.

A closed loop waits for a slow server and so hides that it is slow; here a stall shows in every request that was meant to
be sent during it.
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

RETRIED: Final = frozenset({429, 503})
"""Statuses that ask for another attempt: too much at once, or a service that starts or ends."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0


async def send(client: httpx.AsyncClient, url: str, order: Order, due: float, retries: int = 0) -> Outcome:
    """Send one order, meant for the moment `due` of the monotonic clock.

    Where the answer is 429 or 503, or the connection breaks, send it again up to `retries` times, after the pause that the
    answer asks for. A decision is recorded once per order, so sending twice does no harm.
    """
    attempt = 0
    while True:
        outcome, pause = await _attempt(client, url, order, due)
        if pause is None or attempt >= retries:
            return replace(outcome, retries=attempt)
        # Each waits a little longer or shorter: callers that were refused together do not come back together.
        await asyncio.sleep(min(pause * 2**attempt, _LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.5))
        attempt += 1


async def _attempt(client: httpx.AsyncClient, url: str, order: Order, due: float) -> tuple[Outcome, float | None]:
    """One attempt; with the seconds to wait before another one, None where another one would change nothing."""
    identity = str(order.body["transaction_id"])

    def failed(error: str) -> Outcome:
        return Outcome(identity, order.is_abuse, time.monotonic() - due, error=error)

    try:
        answer = await client.post(url, json=order.body)
        seconds = time.monotonic() - due
        if answer.status_code != 200:
            pause = _pause(answer) if answer.status_code in RETRIED else None
            return failed(f"HTTP {answer.status_code}: {_detail(answer)}"), pause
        body = answer.json()
        return Outcome(identity, order.is_abuse, seconds, body["decision"], body["legitimacy_score"]), None
    except httpx.HTTPError as error:
        again = _FIRST_PAUSE_SECONDS if isinstance(error, httpx.TransportError) else None
        return failed(f"{type(error).__name__}: {error}".strip(": ")), again
    except (ValueError, KeyError, TypeError) as error:
        return failed(f"not an answer of Vouch: {type(error).__name__}"), None


def _pause(answer: httpx.Response) -> float:
    """Seconds that an answer asks to wait, within reason."""
    try:
        return min(max(float(answer.headers.get("retry-after", "")), 0.0), _LONGEST_PAUSE_SECONDS)
    except ValueError:
        return _FIRST_PAUSE_SECONDS


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
    retries: int = 0,
) -> None:
    """Send `rate` orders a second until `duration` seconds are over (for ever if None), then wait for the answers.

    An order that was refused for now is sent again up to `retries` times. At most `concurrency` requests are under way; one
    that has to wait for a place still counts from its due time.
    """
    places = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    with _raising_first_cause():
        async with (
            httpx.AsyncClient(timeout=10.0, limits=limits, headers=key_headers(url)) as client,
            asyncio.TaskGroup() as tasks,
        ):
            started, number = time.monotonic(), 0

            async def one(order: Order, due: float) -> None:
                try:
                    done(await send(client, url, order, due, retries))
                finally:
                    places.release()

            while duration is None or number / rate < duration:
                due = started + number / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await places.acquire()
                tasks.create_task(one(next(orders), due))
                number += 1


@contextlib.contextmanager
def _raising_first_cause() -> Iterator[None]:
    """Raise the first exception of a group alone: where the reader of our output is gone, several tasks say so at once."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
