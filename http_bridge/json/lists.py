"""A list in a JSON body, taken apart into its elements without reading these: a few steps at a time, whatever is sent."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Final

WANTED: Final = "the body is one object whose `{}` is a list of orders"
_DEEPEST, _MOST_STEPS, _STEPS_AT_ONCE, _WINDOW = 64, 16_000, 1000, 64 << 10
_SPACE = rb"[ \t\r\n]*+"
_HEAD = re.compile(_SPACE + rb"\{" + _SPACE + rb'"([^"\\]{0,64}+)"' + _SPACE + rb":" + _SPACE + rb"\[" + _SPACE)
_TAIL = re.compile(_SPACE + rb"\}" + _SPACE)
_BETWEEN = re.compile(rb'[]["{},]')
_INSIDE = re.compile(rb'[]["{}]')
_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+){0,500}+', re.DOTALL)


class NotAList(Exception):
    """The body is no object with a list, or the list holds what no order can be; the message says what is wrong."""


async def elements(body: bytes, name: str, most: int, longest: int) -> AsyncGenerator[bytes]:
    """The elements of the list that is the one field of a JSON object, as they are written; `longest` in bytes.

    What an element holds is not checked. Raises NotAList.
    """
    wanted = WANTED.format(name)
    head = _HEAD.match(body)
    if head is None or head[1] != name.encode():
        raise NotAList(wanted)
    scan, place, found = _Scan(body), head.end(), 0
    while True:
        end = await scan.end_of_element(place, min(len(body), place + longest + 1))
        if end is None:
            cut = len(body) > place + longest
            raise NotAList(f"order {found} of the list has more than {longest:,} bytes" if cut else wanted)
        element, last = body[place:end].strip(b" \t\r\n"), body[end : end + 1] == b"]"
        if not element and not (last and not found):  # two commas, or one before the end
            raise NotAList(wanted)
        if element:
            found += 1
            if found > most:
                raise NotAList(f"at most {most} orders at once; send more as lines of JSON (application/x-ndjson)")
            yield element
        place = end + 1
        if last:
            break
    if not _TAIL.fullmatch(body, place):
        raise NotAList(wanted)


class _Scan:
    """Looks for ends of elements; after so many steps others have their turn."""

    def __init__(self, body: bytes) -> None:
        self._body, self._steps = body, 0

    async def end_of_element(self, place: int, until: int) -> int | None:
        """Where the comma or bracket behind the element stands that begins at `place`; None where none does before `until`."""
        depth = 0
        for _ in range(_MOST_STEPS):
            await self._step()
            mark = (_INSIDE if depth else _BETWEEN).search(self._body, place, min(until, place + _WINDOW))
            if mark is None:
                place += _WINDOW
                if place >= until:
                    return None
                continue
            place, sign = mark.end(), mark[0]
            if sign == b'"':
                place = await self._end_of_text(place, until)
                if place < 0:
                    return None
            elif sign in b"{[":
                depth += 1
                if depth > _DEEPEST:
                    raise NotAList("an order of the list is nested too deeply")
            elif sign == b"," or depth == 0:
                return mark.start()
            else:
                depth -= 1
        raise NotAList("an order of the list has more parts than an order can have")

    async def _end_of_text(self, place: int, until: int) -> int:
        """The place behind a text's closing quote; -1 where there is none before `until`."""
        while place < until:
            await self._step()
            text = _TEXT.match(self._body, place, min(until, place + _WINDOW))
            assert text is not None  # it matches nothing, too
            if self._body[text.end() : text.end() + 1] == b'"':
                return text.end() + 1
            if text.end() == place:  # a backslash at the end
                return -1
            place = text.end()
        return -1

    async def _step(self) -> None:
        self._steps += 1
        if self._steps % _STEPS_AT_ONCE == 0:
            await asyncio.sleep(0)
