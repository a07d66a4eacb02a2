"""The request context of a gRPC call: request id, caller, deadline. Created once per call and passed down."""

import random
from typing import Any

import grpc

from runtime.access.caller import ANONYMOUS, Caller

REQUEST_ID = "x-request-id"
BATCH = "vouch-batch"
"""Metadata key of calls that belong to a batch: they queue behind single calls instead of being refused."""
Context = grpc.aio.ServicerContext[Any, Any]


class Call:
    """Context of one call. Logs, records and limits take the request id and the caller from here.

    `caller` is the holder of the API key; ANONYMOUS before authentication.
    """

    __slots__ = ("_headers", "_request_id", "caller", "context")

    def __init__(self, context: Context, caller: Caller = ANONYMOUS) -> None:
        self.context, self.caller = context, caller
        self._headers: dict[str, str] | None = None
        self._request_id = ""

    @property
    def headers(self) -> dict[str, str]:
        """Return the text metadata; names are in lower case, as gRPC sends them."""
        if self._headers is None:
            pairs = self.context.invocation_metadata() or ()
            self._headers = {key: value for key, value in pairs if isinstance(value, str)}
        return self._headers

    @property
    def request_id(self) -> str:
        """Return the request id of the caller, or a new one that stays the same for the call."""
        if not self._request_id:
            self._request_id = request_id_or_new(self.headers.get(REQUEST_ID, ""))
        return self._request_id

    async def send_header(self, name: str, value: str) -> None:
        """Send a header before the response; it becomes an HTTP header too."""
        await self.context.send_initial_metadata(((name, value),))

    @property
    def remaining(self) -> float | None:
        """Return the seconds until the deadline of the caller; None without a deadline."""
        return self.context.time_remaining()


def request_id_or_new(given: str) -> str:
    """Return `given` if it is valid in headers and logs, and a new id otherwise."""
    return given if 0 < len(given) <= 128 and is_valid_metadata(given) else new_id()


def new_id() -> str:
    """Return a unique id of 32 hex digits, not a secret: kernel randomness would cost a twentieth of a review."""
    return f"{random.getrandbits(128):032x}"


def is_valid_metadata(value: str) -> bool:
    """Return whether a text is valid gRPC metadata."""
    return value.isascii() and value.isprintable()
