"""Predicates compiled from the contract's rules. They accept a message that certainly breaks no rule.

A predicate is one Python expression, since it runs for every request. Its source contains nothing but names and numbers of
the contract. In conditions, `$` stands for the value of a field.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from generated.buf.validate import validate_pb2
from runtime.validation.field_rules import FieldRules, rules_of

TIMESTAMP: Final = "google.protobuf.Timestamp"
NANOS: Final = 1_000_000_000
_OPERATORS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NUMBERS: Final = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_INT32)


def message_predicate(descriptor: Any) -> Callable[[Any], bool] | None:
    """Return the predicate of a message; None where it has rules that are not known here."""
    if descriptor.GetOptions().HasExtension(validate_pb2.message):
        return None
    if any(oneof.GetOptions().HasExtension(validate_pb2.oneof) for oneof in descriptor.oneofs):
        return None
    names: dict[str, Any] = {}
    try:
        conditions = [text for field in descriptor.fields for text in _message_conditions(field, names)]
    except LookupError:
        return None
    return _compile("m", conditions, names)


def map_predicate(field: Any) -> Callable[[Any], bool]:
    """Return the predicate of a map. Raises LookupError for a rule that is not known here."""
    rules, entry = _known(rules_of(field)), field.message_type
    names: dict[str, Any] = {}
    conditions = []
    for name, part in (("key", rules.keys), ("value", rules.values)):
        of_part = _conditions(entry.fields_by_name[name], part or FieldRules(), names)
        conditions += [text.replace("$", name) for text in of_part]
    every = f"all({' and '.join(conditions) or True} for key, value in m.items())"
    return _compile("m", [f"len(m) <= {rules.max_pairs or 'inf'}", every], names)


def field_conditions(field: FieldDescriptor, names: dict[str, Any]) -> list[str]:
    """Return the conditions on the value of a field that is present, and add to `names` what they use.

    Raises LookupError for a rule that is not known here.
    """
    return _conditions(field, _known(rules_of(field)), names)


def _compile(argument: str, conditions: list[str], names: dict[str, Any]) -> Callable[[Any], bool]:
    source = f"lambda {argument}: {' and '.join(conditions) or True}"
    function: Callable[[Any], bool] = eval(source, names)  # noqa: S307  made of the contract's own names and numbers
    return function


def _known(rules: FieldRules) -> FieldRules:
    """Return rules if all of them are known here; else raise LookupError."""
    for part in (rules, rules.keys, rules.values):
        if part is not None and part.unknown:
            raise LookupError(part.unknown)
    return rules


def _message_conditions(field: FieldDescriptor, names: dict[str, Any]) -> list[str]:
    """Return the conditions that a field puts on its message m. Raises LookupError for a rule that is not known here."""
    name, rules = field.name, _known(rules_of(field))
    value, present = f"m.{name}", f"m.HasField({name!r})"
    if rules.keys is not None:
        names[f"accepts_{name}"] = map_predicate(field)
        return [f"(not {value} or accepts_{name}({value}))"]
    if field.is_repeated:
        if field.message_type and rules == FieldRules() and not _has_rules(field.message_type):
            return []
        raise LookupError(name)
    if field.message_type is not None and field.message_type.full_name != TIMESTAMP:
        names[f"accepts_{name}"] = message_predicate(field.message_type)
        if names[f"accepts_{name}"] is None:
            raise LookupError(name)
        accepted = f"accepts_{name}({value})"
        return [present, accepted] if rules.required else [f"(not {present} or {accepted})"]
    conditions = _conditions(field, rules, names)
    if conditions:  # each value is read once: reading a field costs more than comparing it
        conditions[0] = conditions[0].replace("$", f"(v := {value})", 1)
        conditions = [text.replace("$", "v") for text in conditions]
    if rules.required:
        return [present, *conditions] if field.has_presence else [*conditions, value]
    if field.has_presence and conditions:
        return [f"({' and '.join(conditions)} or not {present})"]
    return conditions


def _conditions(field: FieldDescriptor, rules: FieldRules, names: dict[str, Any]) -> list[str]:
    """Return conditions on $ for the rules of a value."""
    conditions = [_bound(field, name, limit) for name, limit in rules.bounds.items()]
    if rules.finite:
        conditions.append("-1e308 < $ < 1e308")
    if rules.min_len is not None:
        conditions.append(f"len($) >= {rules.min_len}")
    if rules.max_len is not None:
        conditions.append(f"len($) <= {rules.max_len}")
    for number, pattern in enumerate(rules.patterns):
        if not (pattern.startswith("^") and pattern.endswith("$")):
            raise LookupError(pattern)
        # fullmatch, since Python's $ also matches before a final line break.
        names[f"matches_{field.name}_{number}"] = re.compile(pattern[1:-1], re.ASCII).fullmatch
        conditions.append(f"matches_{field.name}_{number}($)")
    if rules.numbers is not None:
        names[f"numbers_{field.name}"] = rules.numbers
        conditions.append(f"$ in numbers_{field.name}")
    return conditions


def _bound(field: FieldDescriptor, name: str, limit: Any) -> str:
    if field.message_type and field.message_type.full_name == TIMESTAMP:
        # At the bound itself the nanoseconds would decide: that is left to protovalidate.
        return f"$.seconds {_OPERATORS[name][0]} {limit.seconds} and 0 <= $.nanos < {NANOS}"
    if field.cpp_type not in _NUMBERS:
        raise LookupError(name)
    return f"$ {_OPERATORS[name]} {limit!r}"


def _has_rules(descriptor: Descriptor) -> bool:
    return any(rules_of(field) != FieldRules() for field in descriptor.fields)
