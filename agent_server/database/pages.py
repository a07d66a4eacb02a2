"""Pages of lists, bounded by the number of their messages and by their bytes."""

from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)
PAGE_BYTES: Final = 1 << 20
"""Bytes of a page at most: a quarter of what a gRPC client takes by default, and soon written as JSON."""
ROWS_AT_ONCE: Final = 128
"""Rows that are read in one go: a page may end long before the rows that were asked for."""
_BESIDE: Final = 8
"""Bytes of a message in a list beside its own: its tag and its length."""


class Page(Generic[M]):
    """Messages of one page. It takes the first one whatever its size, then those that still fit."""

    def __init__(self, size: int | None = None, most_bytes: int = PAGE_BYTES) -> None:
        """`size` is how many messages it takes; None for any number."""
        self.messages: list[M] = []
        self._size, self._left = size, most_bytes

    @property
    def is_full(self) -> bool:
        """Whether it has as many messages as were asked for."""
        return len(self.messages) == self._size

    def add(self, message: M) -> bool:
        """Add a message; False where it does not fit, and belongs to the next page."""
        needed = message.ByteSize() + _BESIDE
        if self.messages and needed > self._left:
            return False
        self._left -= needed
        self.messages.append(message)
        return True
