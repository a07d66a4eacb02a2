"""Results of commands for programs."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def print_json(value: Any) -> None:
    """Print a value as JSON in ASCII, so that control characters are escaped. A number that is not finite is null."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False), flush=True)


def print_json_line(value: Any) -> None:
    """Print a value as one line of JSON, for streams."""
    print(json.dumps(_finite(value), allow_nan=False), flush=True)


def to_dict(message: Message) -> dict[str, Any]:
    """Return a message in canonical JSON with the contract's field names; zeros and empty lists are there too."""
    values: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return values


def to_dicts(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return messages by `to_dict`."""
    return [to_dict(message) for message in messages]


def _finite(value: Any) -> Any:
    """Return a value with null for each number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
