"""Calls that are retried when they are refused for now, as our client does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc

PATIENCE_SECONDS: Final = 180.0
_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_PAUSE_SECONDS = 0.1
Answer = TypeVar("Answer")


class RetryingCaller:
    """Retries calls until they are answered, and counts the retries."""

    def __init__(self) -> None:
        self.count = 0

    async def send(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer. Raises AioRpcError for errors that are not retryable, and after the deadline."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() not in _RETRIED or time.monotonic() > end:
                    raise
                self.count += 1
                await asyncio.sleep(_PAUSE_SECONDS)
