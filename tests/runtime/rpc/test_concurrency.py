"""ConcurrencyLimit of calls: waiting calls leave the queue correctly in any interleaving."""

import asyncio

import pytest

from runtime.rpc.concurrency import CallLimit


async def test_a_call_is_cancelled_while_capacity_is_released() -> None:
    """A waiting call that is cancelled while capacity is released ends as cancelled and takes none."""
    calls = CallLimit(2, in_use=1)
    waiting = asyncio.create_task(calls.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    calls.release()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (calls.in_use, calls.waiting) == (0, 0)
