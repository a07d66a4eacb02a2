"""The rules that the contract states as protovalidate options, read once into a small tree.

Whatever needs a rule takes it from here: predicates over messages, the scorer's compiled reader, the bridge's pydantic models
and JSON schemas, and the limits of conditions in policies.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from generated.buf.validate import validate_pb2

BOUNDS: Final = ("gt", "gte", "lt", "lte")
_CEL_PATTERN: Final = re.compile(r"this\.matches\('(\^[^'\\]*\$)'\)")
_KNOWN: Final = {
    "string": {"min_len", "max_len", "pattern"},
    "double": {*BOUNDS, "finite"},
    "int32": {*BOUNDS},
    "enum": {"defined_only", "in", "not_in"},
    "timestamp": {*BOUNDS},
    "map": {"max_pairs", "keys", "values"},
}


@dataclass(frozen=True)
class FieldRules:
    """The rules of one field. What a field has no rule for is None, False or empty."""

    required: bool = False
    bounds: Mapping[str, Any] = field(default_factory=dict)
    """Bounds of a number or a timestamp, by their names in BOUNDS."""
    finite: bool = False
    min_len: int | None = None
    max_len: int | None = None
    pattern: str = ""
    """Pattern of a text, in RE2's syntax."""
    cel_patterns: tuple[str, ...] = ()
    """Patterns of rules in CEL that are nothing but one pattern."""
    numbers: frozenset[int] | None = None
    """Numbers that an enum may have."""
    max_pairs: int | None = None
    keys: "FieldRules | None" = None
    values: "FieldRules | None" = None
    unknown: frozenset[str] = frozenset()
    """Rules that this module does not know: they are left to protovalidate."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """All patterns, that of the text first."""
        return ((self.pattern,) if self.pattern else ()) + self.cel_patterns


@cache
def rules_of(descriptor: Any) -> FieldRules:
    """Return the rules of a field, given its descriptor."""
    options: Any = descriptor.GetOptions().Extensions[validate_pb2.field]
    return _read(descriptor, options)


def _read(descriptor: FieldDescriptor, options: Any) -> FieldRules:
    """Read the rules in `options` for values of a field."""
    kind = options.WhichOneof("type")
    declared = {rule.name: value for rule, value in getattr(options, kind).ListFields()} if kind else {}
    expressions = [_CEL_PATTERN.fullmatch(rule.expression) for rule in options.cel]
    unknown = {rule.name for rule, _ in options.ListFields()} - {"required", "cel", *_KNOWN}
    unknown |= set(declared) - _KNOWN.get(kind, set())
    unknown |= {"cel"} if None in expressions else set()
    entry: Any = descriptor.message_type if kind == "map" else None
    return FieldRules(
        required=options.required,
        bounds={name: declared[name] for name in BOUNDS if name in declared},
        finite=declared.get("finite", False),
        min_len=declared.get("min_len"),
        max_len=declared.get("max_len"),
        pattern=declared.get("pattern", ""),
        cel_patterns=tuple(match[1] for match in expressions if match is not None),
        numbers=_numbers(descriptor, declared) if kind == "enum" else None,
        max_pairs=declared.get("max_pairs"),
        keys=_read(entry.fields_by_name["key"], options.map.keys) if entry else None,
        values=_read(entry.fields_by_name["value"], options.map.values) if entry else None,
        unknown=frozenset(unknown),
    )


def _numbers(descriptor: FieldDescriptor, declared: Mapping[str, Any]) -> frozenset[int]:
    defined = set(descriptor.enum_type.values_by_number) if descriptor.enum_type else set[int]()
    return frozenset(defined & set(declared.get("in", defined)) - set(declared.get("not_in", ())))
