"""Splitting of a list in a JSON body into its elements, without parsing them, and without blocking the event loop."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Final

FORMAT_ERROR: Final = "the body must be one object whose `{}` is a list of orders"
_MAX_DEPTH, _MAX_STEPS, _STEPS_AT_ONCE, _WINDOW = 64, 16_000, 1000, 64 << 10
_SPACE = rb"[ \t\r\n]*+"
_HEAD = re.compile(_SPACE + rb"\{" + _SPACE + rb'"([^"\\]{0,64}+)"' + _SPACE + rb":" + _SPACE + rb"\[" + _SPACE)
_TAIL = re.compile(_SPACE + rb"\}" + _SPACE)
_BETWEEN = re.compile(rb'[]["{},]')
_INSIDE = re.compile(rb'[]["{}]')
_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+){0,500}+', re.DOTALL)


class NotAList(Exception):
    """The body is not an object with a list, or an element cannot be an order; the message names the error."""


async def split_list(body: bytes, name: str, max_elements: int, max_bytes: int) -> AsyncGenerator[bytes]:
    """Yield the elements of a list, as bytes; it must be the only field of a JSON object. `max_bytes` is per element.

    The contents of elements are not checked. Raises NotAList.
    """
    format_error = FORMAT_ERROR.format(name)
    head = _HEAD.match(body)
    if head is None or head[1] != name.encode():
        raise NotAList(format_error)
    scanner, start, count = _Scanner(body), head.end(), 0
    while True:
        end = await scanner.end_of_element(start, min(len(body), start + max_bytes + 1))
        if end is None:
            is_long = len(body) > start + max_bytes
            raise NotAList(f"order {count} of the list has more than {max_bytes:,} bytes" if is_long else format_error)
        element, is_last = body[start:end].strip(b" \t\r\n"), body[end : end + 1] == b"]"
        if not element and not (is_last and not count):  # two commas, or one before the end
            raise NotAList(format_error)
        if element:
            count += 1
            if count > max_elements:
                raise NotAList(
                    f"at most {max_elements} orders in a list; send more as JSON lines (application/x-ndjson)"
                )
            yield element
        start = end + 1
        if is_last:
            break
    if not _TAIL.fullmatch(body, start):
        raise NotAList(format_error)


class _Scanner:
    """Finds the ends of elements. The event loop runs other tasks after every _STEPS_AT_ONCE steps."""

    def __init__(self, body: bytes) -> None:
        self._body, self._steps = body, 0

    async def end_of_element(self, start: int, limit: int) -> int | None:
        """Return the position of the comma or bracket after the element at `start`; None if none is before `limit`."""
        position, depth = start, 0
        for _ in range(_MAX_STEPS):
            await self._step()
            match = (_INSIDE if depth else _BETWEEN).search(self._body, position, min(limit, position + _WINDOW))
            if match is None:
                position += _WINDOW
                if position >= limit:
                    return None
                continue
            position, sign = match.end(), match[0]
            if sign == b'"':
                position = await self._end_of_string(position, limit)
                if position < 0:
                    return None
            elif sign in b"{[":
                depth += 1
                if depth > _MAX_DEPTH:
                    raise NotAList("an order of the list is nested too deeply")
            elif sign == b"," or depth == 0:
                return match.start()
            else:
                depth -= 1
        raise NotAList("an order of the list has more parts than an order can have")

    async def _end_of_string(self, position: int, limit: int) -> int:
        """Return the position after a string's closing quote; -1 if there is none before `limit`."""
        while position < limit:
            await self._step()
            text = _TEXT.match(self._body, position, min(limit, position + _WINDOW))
            assert text is not None  # the pattern matches the empty string
            if self._body[text.end() : text.end() + 1] == b'"':
                return text.end() + 1
            if text.end() == position:  # a backslash at the end
                return -1
            position = text.end()
        return -1

    async def _step(self) -> None:
        self._steps += 1
        if self._steps % _STEPS_AT_ONCE == 0:
            await asyncio.sleep(0)
