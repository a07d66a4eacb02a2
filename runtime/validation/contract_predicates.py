"""The contract's rules as Python conditions that say of a message: certainly fine."""

import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from generated.buf.validate import validate_pb2

TIMESTAMP = "google.protobuf.Timestamp"
NANOS = 1_000_000_000
_MATCHES = re.compile(r"this\.matches\('(\^[^'\\]*\$)'\)")
_BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def compiled(descriptor: Any) -> Callable[[Any], bool] | None:
    """Whether a message certainly breaks no rule, as a function; None where the message has rules unknown here."""
    if descriptor.GetOptions().HasExtension(validate_pb2.message):
        return None
    if any(oneof.GetOptions().HasExtension(validate_pb2.oneof) for oneof in descriptor.oneofs):
        return None
    names: dict[str, Any] = {}
    try:
        conditions = [text for field in descriptor.fields for text in _conditions(field, names)]
    except LookupError:
        return None
    source = f"lambda m: {' and '.join(conditions) or True}"
    function: Callable[[Any], bool] = eval(source, names)  # noqa: S307  source is made of the contract's own numbers
    return function


def _conditions(field: FieldDescriptor, names: dict[str, Any]) -> list[str]:
    """Python conditions on the message m. Raises LookupError for a rule that is not known here."""
    name, rules = field.name, rules_of(field)
    unknown = {rule.name for rule, _ in rules.ListFields()} - {
        "required",
        "cel",
        "string",
        "double",
        "int32",
        "enum",
        "timestamp",
        "map",
    }
    if unknown:
        raise LookupError(unknown)
    kind = rules.WhichOneof("type")
    ruled = {rule.name: value for rule, value in getattr(rules, kind).ListFields()} if kind else {}
    value = f"m.{name}"
    if kind == "map":
        names[f"accepts_{name}"] = _of_map(field, rules.map)
        return [f"(not {value} or accepts_{name}({value}))"]
    if field.is_repeated:
        if field.message_type and not ruled and not _has_rules(field.message_type):
            return []
        raise LookupError(name)
    if field.message_type is not None and field.message_type.full_name != TIMESTAMP:
        inner = compiled(field.message_type)
        if inner is None:
            raise LookupError(name)
        names[f"accepts_{name}"] = inner
        present, fine = f"m.HasField({name!r})", f"accepts_{name}({value})"
        return [present, fine] if rules.required else [f"(not {present} or {fine})"]
    conditions = conditions_on(field, names)
    if conditions:  # each value is read once: reading a field costs more than comparing it
        conditions[0] = conditions[0].replace("$", f"(v := {value})", 1)
        conditions = [text.replace("$", "v") for text in conditions]
    if field.has_presence:
        absent = f"m.HasField({name!r})"
        if rules.required:
            return [absent, *conditions]
        return [f"({' and '.join(conditions)} or not {absent})"] if conditions else []
    if rules.required:
        conditions.append(value)
    return conditions


def conditions_on(field: FieldDescriptor, names: dict[str, Any]) -> list[str]:
    """Python conditions on $, the value of a field that is there. `names` is filled with what they use.

    Raises LookupError for a rule that is not known here.
    """
    rules = rules_of(field)
    kind = rules.WhichOneof("type")
    ruled = {rule.name: value for rule, value in getattr(rules, kind).ListFields()} if kind else {}
    conditions = [_condition(field, rule, wanted, names) for rule, wanted in ruled.items()]
    for number, rule in enumerate(rules.cel):
        names[f"fits_{field.name}_{number}"] = re.compile(_pattern_of(rule.expression)[1:-1], re.ASCII).fullmatch
        conditions.append(f"fits_{field.name}_{number}($)")
    return [text for text in conditions if text]


def patterns_of(field: FieldDescriptor) -> list[str]:
    """The patterns that a text has to match, those of rules in CEL among them."""
    rules = rules_of(field)
    own = [rules.string.pattern] if rules.WhichOneof("type") == "string" and rules.string.pattern else []
    return own + [_pattern_of(rule.expression) for rule in rules.cel]


def _pattern_of(expression: str) -> str:
    """The pattern of a rule in CEL that is nothing but one. Raises LookupError for any other rule."""
    match = _MATCHES.fullmatch(expression)
    if match is None:
        raise LookupError(expression)
    return match[1]


def map_condition(field: Any) -> Callable[[Any], bool]:
    """Whether a map certainly breaks no rule. Raises LookupError for a rule that is not known here."""
    return _of_map(field, rules_of(field).map)


def _of_map(field: FieldDescriptor, rules: Any) -> Callable[[Any], bool]:
    """Whether a map certainly breaks no rule. Raises LookupError for a rule that is not known here."""
    entry: Any = field.message_type
    names: dict[str, Any] = {}
    conditions = []
    for name, part in (("key", rules.keys), ("value", rules.values)):
        kind = part.WhichOneof("type")
        ruled = {rule.name: value for rule, value in getattr(part, kind).ListFields()} if kind else {}
        told = [_condition(entry.fields_by_name[name], rule, wanted, names) for rule, wanted in ruled.items()]
        conditions += [text.replace("$", name) for text in told if text]
    if unknown := {rule.name for rule, _ in rules.ListFields()} - {"max_pairs", "keys", "values"}:
        raise LookupError(unknown)
    every = f"all({' and '.join(conditions) or True} for key, value in m.items())"
    function: Callable[[Any], bool] = eval(f"lambda m: len(m) <= {rules.max_pairs or 'inf'} and {every}", names)  # noqa: S307  as above
    return function


def _condition(field: FieldDescriptor, rule: str, wanted: Any, names: dict[str, Any]) -> str:
    """One rule as a Python condition on $, the field's value. Raises LookupError for a rule that is not known here."""
    kind = field.message_type.full_name if field.message_type else ""
    if kind == TIMESTAMP and rule in _BOUNDS:
        # At the bound itself the nanoseconds would decide: that is left to protovalidate.
        return f"$.seconds {_BOUNDS[rule][0]} {wanted.seconds} and 0 <= $.nanos < {NANOS}"
    if rule in _BOUNDS and field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_INT32):
        return f"$ {_BOUNDS[rule]} {wanted!r}"
    if rule == "finite":
        return "-1e308 < $ < 1e308"
    if rule == "min_len":
        return f"len($) >= {wanted}"
    if rule == "max_len":
        return f"len($) <= {wanted}"
    if rule == "pattern" and wanted.startswith("^") and wanted.endswith("$"):
        # fullmatch, since Python's $ would also stand before a line's end.
        names[f"matches_{field.name}"] = re.compile(wanted[1:-1], re.ASCII).fullmatch
        return f"matches_{field.name}($)"
    if rule == "defined_only" and field.enum_type is not None:
        refused = set(rules_of(field).enum.not_in)
        names[f"defined_{field.name}"] = frozenset(field.enum_type.values_by_number) - refused
        return f"$ in defined_{field.name}"
    if rule == "not_in" and field.enum_type is not None and rules_of(field).enum.defined_only:
        return ""  # told by defined_only already
    raise LookupError(rule)


def rules_of(field: FieldDescriptor) -> Any:
    """What the contract says of a field."""
    return field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[index]


def _has_rules(descriptor: Descriptor) -> bool:
    return any(field.GetOptions().HasExtension(validate_pb2.field) for field in descriptor.fields)  # type: ignore[arg-type]
