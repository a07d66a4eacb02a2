"""Runs the rules that the contract states in its protovalidate options."""

from google.protobuf.message import Message
from protovalidate import Validator

from runtime.errors import InvalidRequest

_validator = Validator()


def check(message: Message) -> None:
    """Raise InvalidRequest naming every field that breaks a rule."""
    if found := violations(message):
        raise InvalidRequest(found)


def violations(message: Message) -> list[tuple[str, str]]:
    """Field path and description of every rule that is broken."""
    found = _validator.collect_violations(message)
    return [(_path(each.proto.field), each.proto.message or each.proto.rule_id) for each in found]


def _path(field: object) -> str:
    parts = []
    for element in field.elements:  # type: ignore[attr-defined]
        subscript = element.subscript
        index = f"[{subscript.value}]" if subscript is not None else ""
        parts.append(element.field_name + index)
    return ".".join(parts)
