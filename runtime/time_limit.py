"""A time limit for a coroutine that costs nothing where the coroutine does not have to wait."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def run_within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine. Raise TimeoutError if it still waits after `seconds`; None for no limit.

    `asyncio.timeout` starts and cancels a timer, which takes a twentieth of a request over REST. Most work is done
    without waiting: the body has arrived with the headers, the scorer computes. So the coroutine runs up to the point
    where it waits for the first time, and only then the timer starts.
    """
    try:
        awaited = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    async with asyncio.timeout(seconds):
        return await _resume(work, awaited)


@types.coroutine
def _resume(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Continue a coroutine that waits for `awaited`, as `yield from` would have done from its start."""
    try:
        while True:
            try:
                given = yield awaited
            except BaseException as error:  # cancelled, or closed
                awaited = work.throw(error)
            else:
                awaited = work.send(given)
    except StopIteration as done:
        result: T = done.value
        return result
