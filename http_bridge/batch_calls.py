"""Calls of batches: a concurrency limit over all batches of a process, and retries while a service is overloaded."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from fastapi import Request
from grpc_status import rpc_status

from generated.vouch.v1.error_reason_pb2 import ErrorReason
from http_bridge.middleware.access import metadata, timeout
from http_bridge.settings import HttpSettings
from runtime.error_statuses import reason_name
from runtime.errors import reason_of
from runtime.rpc.call import BATCH

WAIT_SECONDS: Final = 60.0
"""Retry timeout of a call, if the request has no timeout."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_OVERLOADED: Final = reason_name(ErrorReason.ERROR_REASON_OVERLOADED)


class BatchCalls:
    """A first-come, first-served concurrency limit for the calls of batches in one process."""

    def __init__(self, limit: int) -> None:
        self._semaphore = asyncio.Semaphore(limit)

    async def call_service(
        self, request: Request, method: Callable[..., Awaitable[Any]], message: Any, settings: HttpSettings
    ) -> Any:
        """Call a service for a part of a batch; retry while it is overloaded. Raises AioRpcError."""
        clock, pause = asyncio.get_running_loop().time, _FIRST_PAUSE
        request_timeout = request.scope["state"].get("request_timeout")
        until = clock() + (WAIT_SECONDS if request_timeout is None else request_timeout)
        async with self._semaphore:
            while True:
                try:
                    return await method(
                        message, timeout=timeout(request, settings), metadata=(*metadata(request), (BATCH, "1"))
                    )
                except grpc.aio.AioRpcError as error:
                    if not _is_overload(error) or clock() + pause > until:
                        raise
                # The semaphore is held during the pause, so that an overloaded service gets fewer calls.
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE)


def _is_overload(error: grpc.aio.AioRpcError) -> bool:
    return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and reason_of(rpc_status.from_call(error)) == _OVERLOADED
