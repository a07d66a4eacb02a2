"""Encoding of messages as JSON. Large ones are encoded in slices, and the event loop runs other tasks in between."""

import asyncio
from typing import Final

from google.protobuf.message import Message
from orjson import Fragment, dumps

from http_bridge.json.mapping import is_map, to_rest

SLICE_BYTES: Final = 16 << 10
"""Bytes of messages that are encoded at once: about a millisecond of work."""


async def to_json(message: Message) -> bytes:
    """Return a message as REST JSON. The list entries of a large message are encoded one by one."""
    if message.ByteSize() <= SLICE_BYTES:
        return dumps(to_rest(message))
    lists = [
        field for field, _ in message.ListFields() if field.is_repeated and field.message_type and not is_map(field)
    ]
    frame = type(message)()
    frame.CopyFrom(message)
    for field in lists:
        frame.ClearField(field.name)
    values = to_rest(frame)
    for field in lists:
        encoded, size = [], 0
        for entry in getattr(message, field.name):
            size += entry.ByteSize()
            if size > SLICE_BYTES:
                size = 0
                await asyncio.sleep(0)
            encoded.append(Fragment(dumps(to_rest(entry))))
        values[field.name] = encoded
    return dumps(values)
