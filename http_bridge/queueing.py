"""Calls of batches: so many at once over all batches of a process, and none is lost where a service has no room for it."""

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

PATIENCE_SECONDS: Final = 60.0
"""How long a call of a batch waits for room, where its caller does not say how long it waits."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_OVERLOADED: Final = reason_name(ErrorReason.ERROR_REASON_OVERLOADED)


class BatchCalls:
    """Places for calls of batches in one process. Who has none waits, in the order in which they came."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)

    async def ask(
        self, request: Request, method: Callable[..., Awaitable[Any]], message: Any, settings: HttpSettings
    ) -> Any:
        """Call a service for a part of a batch, again while it says that it has no room. Raises AioRpcError."""
        clock, pause = asyncio.get_running_loop().time, _FIRST_PAUSE
        request_timeout = request.scope["state"].get("patience")
        until = clock() + (PATIENCE_SECONDS if request_timeout is None else request_timeout)
        async with self._places:
            while True:
                try:
                    return await method(
                        message, timeout=timeout(request, settings), metadata=(*metadata(request), (BATCH, "1"))
                    )
                except grpc.aio.AioRpcError as error:
                    if not _is_overload(error) or clock() + pause > until:
                        raise
                # The place is held meanwhile: where a service has no room, fewer calls are made.
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, _LONGEST_PAUSE)


def _is_overload(error: grpc.aio.AioRpcError) -> bool:
    return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and reason_of(rpc_status.from_call(error)) == _OVERLOADED
