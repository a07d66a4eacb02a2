"""What one call brings along: its id, who makes it, and until when somebody waits. Made once, and handed down."""

import random
from typing import Any

import grpc

from runtime.access.caller import NOBODY, Caller

REQUEST_ID = "x-request-id"
BATCH = "vouch-batch"
"""Metadata of a call that is one of many: it waits for a place instead of being refused, behind single calls."""
Context = grpc.aio.ServicerContext[Any, Any]


class Call:
    """One call: every line of a log, record and limit takes its id and its caller from here.

    `caller` is who showed which API key; nobody where no key is asked for.
    """

    __slots__ = ("_headers", "_request_id", "caller", "context")

    def __init__(self, context: Context, caller: Caller = NOBODY) -> None:
        self.context, self.caller = context, caller
        self._headers: dict[str, str] | None = None
        self._request_id = ""

    @property
    def headers(self) -> dict[str, str]:
        """The text metadata, names in lower case as gRPC sends them."""
        if self._headers is None:
            pairs = self.context.invocation_metadata() or ()
            self._headers = {key: value for key, value in pairs if isinstance(value, str)}
        return self._headers

    @property
    def request_id(self) -> str:
        """The caller's request id, or a new one: the same for as long as the call lasts."""
        if not self._request_id:
            self._request_id = request_id_or_new(self.headers.get(REQUEST_ID, ""))
        return self._request_id

    async def send_header(self, name: str, value: str) -> None:
        """Send a header before the answer; HTTP shows it as one too."""
        await self.context.send_initial_metadata(((name, value),))

    @property
    def remaining(self) -> float | None:
        """Seconds until the caller's deadline; None where there is none."""
        return self.context.time_remaining()


def request_id_or_new(given: str) -> str:
    """A request id as it was given, where it can stand in headers and logs; else a new one."""
    return given if 0 < len(given) <= 128 and is_valid_metadata(given) else new_id()


def new_id() -> str:
    """An id that nobody else has, in 32 hex digits. No secret: the kernel's randomness would cost a twentieth of a review."""
    return f"{random.getrandbits(128):032x}"


def is_valid_metadata(value: str) -> bool:
    """Whether gRPC takes a text as metadata."""
    return value.isascii() and value.isprintable()
