"""Runs the rules that the contract states in its protovalidate options.

protovalidate decides what is refused and words it. But most messages break no rule, and to find that out it takes as long as
scoring does. So the rules are also compiled, from the same options, into a Python expression that says "certainly fine";
only what it does not say that of goes to protovalidate. A test holds the two against each other.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from google.protobuf.message import Message

from runtime.errors import InvalidRequest
from runtime.validation.contract_predicates import NANOS, TIMESTAMP, message_predicate
from runtime.validation.field_rules import rules_of

_LONGEST_NAME = 64


def check(message: Message) -> None:
    """Raise InvalidRequest naming every field that breaks a rule."""
    if broken := violations(message):
        raise InvalidRequest(broken)


def violations(message: Message) -> list[tuple[str, str]]:
    """Field path and description of every rule that is broken."""
    if accepting(message.DESCRIPTOR)(message):
        return []
    if told := list(_oversized(message)):  # each pair would be checked, at a thousandth of a second for fifty
        return told
    broken = validator().collect_violations(message)
    told = [(_path(violation.proto.field), violation.proto.message or violation.proto.rule_id) for violation in broken]
    return told or [(path, f"nanos must lie between 0 and {NANOS - 1}") for path in _untimely(message)]


def _oversized(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Maps of more pairs than they may have."""
    for field, value in message.ListFields():
        if field.message_type is None or (field.is_repeated and not field.message_type.GetOptions().map_entry):
            continue
        if not field.is_repeated:
            yield from _oversized(value, f"{prefix}{field.name}.")
        elif (limit := rules_of(field).max_pairs) and len(value) > limit:
            yield f"{prefix}{field.name}", f"must have at most {limit} pairs, and has {len(value):,}"


def _untimely(message: Message, prefix: str = "") -> Iterator[str]:
    """Paths of times with impossible nanoseconds: protovalidate lets them pass, and whoever writes them out fails."""
    for field, value in message.ListFields():
        if field.message_type is None or field.is_repeated:
            continue
        if field.message_type.full_name != TIMESTAMP:
            yield from _untimely(value, f"{prefix}{field.name}.")
        elif not 0 <= value.nanos < NANOS:
            yield f"{prefix}{field.name}"


@cache
def validator() -> Any:
    """protovalidate, imported when it is first needed: a quarter of a server's start would else go to it."""
    from protovalidate import Validator

    return Validator()


def _path(field: object) -> str:
    parts = []
    for element in field.elements:  # type: ignore[attr-defined]
        subscript = element.subscript
        index = f"[{_shown(subscript.value)}]" if subscript is not None else ""
        parts.append(element.field_name + index)
    return ".".join(parts)


def _shown(key: object) -> str:
    """An index, or the name in a map, which can be anything."""
    name = str(key)
    name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    return name if name.isprintable() else ascii(name)[1:-1]


@cache
def accepting(descriptor: Any) -> Callable[[Any], bool]:
    """Says of a message that it certainly breaks no rule; never, where its rules are not known here."""
    return message_predicate(descriptor) or (lambda message: False)
