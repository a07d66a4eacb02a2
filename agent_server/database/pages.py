"""Pages of lists, limited by their number of messages and by their bytes."""

from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)
PAGE_BYTES: Final = 1 << 20
"""Limit of a page's bytes: a quarter of what a gRPC client accepts by default, and fast to encode as JSON."""
ROWS_AT_ONCE: Final = 128
"""Rows that are read at once: a page may be full long before it has as many rows as requested."""
_OVERHEAD_BYTES: Final = 8
"""Bytes that a list adds to each message: its tag and its length."""


class Page(Generic[M]):
    """The messages of one page. It takes the first message whatever its size, then those that still fit."""

    def __init__(self, size: int | None = None, max_bytes: int = PAGE_BYTES) -> None:
        """Make an empty page for up to `size` messages, None for any number, and `most_bytes`."""
        self.messages: list[M] = []
        self._size, self._left = size, max_bytes

    @property
    def is_full(self) -> bool:
        """Whether it has as many messages as requested."""
        return len(self.messages) == self._size

    def add(self, message: M) -> bool:
        """Add a message; return False if it does not fit, and belongs to the next page."""
        needed = message.ByteSize() + _OVERHEAD_BYTES
        if self.messages and needed > self._left:
            return False
        self._left -= needed
        self.messages.append(message)
        return True
