"""Checks messages against the protovalidate options of the contract.

protovalidate decides and words violations, but takes as long as scoring even for a valid message. So the same options
are also compiled to a Python predicate that accepts messages that are certainly valid; only the rest goes to
protovalidate. A test compares the two.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from google.protobuf.message import Message

from runtime.errors import InvalidRequest
from runtime.validation.contract_predicates import NANOS, TIMESTAMP, message_predicate
from runtime.validation.field_rules import rules_of

_MAX_KEY_LENGTH = 64


def check(message: Message) -> None:
    """Raise InvalidRequest naming every field that violates a rule."""
    if broken := violations(message):
        raise InvalidRequest(broken)


def violations(message: Message) -> list[tuple[str, str]]:
    """Return field path and description of every violated rule."""
    if acceptance_check(message.DESCRIPTOR)(message):
        return []
    if found := list(_oversized(message)):  # do not check each pair: fifty pairs take a millisecond
        return found
    broken = validator().collect_violations(message)
    found = [(_path(violation.proto.field), violation.proto.message or violation.proto.rule_id) for violation in broken]
    return found or [(path, f"nanos must be between 0 and {NANOS - 1}") for path in _invalid_times(message)]


def _oversized(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and description of maps with too many pairs."""
    for field, value in message.ListFields():
        if field.message_type is None or (field.is_repeated and not field.message_type.GetOptions().map_entry):
            continue
        if not field.is_repeated:
            yield from _oversized(value, f"{prefix}{field.name}.")
        elif (limit := rules_of(field).max_pairs) and len(value) > limit:
            yield f"{prefix}{field.name}", f"must have at most {limit} pairs, and has {len(value):,}"


def _invalid_times(message: Message, prefix: str = "") -> Iterator[str]:
    """Yield paths of times with invalid nanoseconds: protovalidate accepts them, but formatting them fails."""
    for field, value in message.ListFields():
        if field.message_type is None or field.is_repeated:
            continue
        if field.message_type.full_name != TIMESTAMP:
            yield from _invalid_times(value, f"{prefix}{field.name}.")
        elif not 0 <= value.nanos < NANOS:
            yield f"{prefix}{field.name}"


@cache
def validator() -> Any:
    """Return the protovalidate validator. Imported on first use, since it would take a quarter of the start-up time."""
    from protovalidate import Validator

    return Validator()


def _path(field: object) -> str:
    parts = []
    for element in field.elements:  # type: ignore[attr-defined]
        subscript = element.subscript
        index = f"[{_printable_key(subscript.value)}]" if subscript is not None else ""
        parts.append(element.field_name + index)
    return ".".join(parts)


def _printable_key(key: object) -> str:
    """Return an index, or a map key, which may be any text, in printable form."""
    name = str(key)
    name = name if len(name) <= _MAX_KEY_LENGTH else f"{name[:_MAX_KEY_LENGTH]}…"
    return name if name.isprintable() else ascii(name)[1:-1]


@cache
def acceptance_check(descriptor: Any) -> Callable[[Any], bool]:
    """Return a predicate that accepts certainly valid messages; it accepts none if a rule is unsupported."""
    return message_predicate(descriptor) or (lambda message: False)
