"""Upper bound for the cost of a condition, for any order, computed from its syntax tree when it is compiled. Pure.

CEL has no recursion, and loops only over lists and maps. A condition can only loop over lists that it contains itself.
So the cost is bounded: a loop runs once per element of its list, times the iterations inside, and the contract limits
the length of an order's strings. A step is one node of the syntax tree, 64 characters that are read, or 8 states of a
pattern at a character.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from agent_server.conditions.extras import TEXT, is_extra
from contract.extras import MAX_TEXT_LENGTH
from contract.fields import FIELDS
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.validation.field_rules import rules_of

MAX_ITERATIONS: Final = 10_000
"""Iterations after which the CEL library aborts an evaluation."""
MAX_STEPS: Final = 200_000
"""Maximum steps of one condition: about 4 ms."""
MAX_POLICY_STEPS: Final = 500_000
"""Maximum steps of all conditions of a policy: about 10 ms of an order's latency."""
_CHARACTERS: Final = 64
_STATES: Final = 8
_DEFAULT_LENGTH: Final = 64
"""Assumed length of strings that the contract does not limit: codes, and numbers converted to strings."""
_MAX_REPETITIONS: Final = 1000
"""Maximum repetitions of a part of a pattern in RE2."""
_REPEATED: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_SYNTAX: Final[Mapping[str, tuple[tuple[int, str, str], ...]]] = {
    "Checked": ((4, "expr", "Expr"),),
    "Expr": (
        (3, "constant", "Constant"), (4, "ident", "Ident"), (5, "select", "Select"), (6, "call", "Call"),
        (7, "items", "Items"), (8, "pairs", "Pairs"), (9, "loop", "Loop"),
    ),
    "Constant": ((6, "text", ""), (7, "data", "")),
    "Ident": ((1, "name", ""),),
    "Select": ((1, "operand", "Expr"), (2, "field", "")),
    "Call": ((1, "target", "Expr"), (2, "function", ""), (3, "args", "Expr*")),
    "Items": ((1, "elements", "Expr*"),),
    "Pairs": ((2, "entries", "Pair*"),),
    "Pair": ((3, "key", "Expr"), (4, "value", "Expr")),
    "Loop": (
        (1, "variable", ""), (2, "range", "Expr"), (3, "result_variable", ""), (4, "start", "Expr"), (5, "condition", "Expr"),
        (6, "step", "Expr"), (7, "result", "Expr"), (8, "second_variable", ""),
    ),
}  # fmt: skip
"""The parts of cel.expr.CheckedExpr that are read: number, name and type of each field; "" is a string."""


@dataclass(frozen=True)
class Cost:
    """Upper bound for one evaluation."""

    steps: int
    iterations: int


@dataclass(frozen=True)
class _Size:
    """Size of the largest value of an expression: characters of a string, or elements of a list and their size."""

    length: int = 1
    item: "_Size | None" = None

    @property
    def total(self) -> int:
        """Total number of characters."""
        return self.length * (self.item.total if self.item else 1)


@dataclass(frozen=True)
class _Estimate:
    steps: int
    iterations: int
    size: _Size


_Scope = Mapping[str, _Size]


def cost_of(serialized: bytes) -> Cost:
    """Return the bound for a program that was serialized by the CEL library."""
    checked = _checked_expr_class().FromString(any_pb2.Any.FromString(serialized).value)
    estimate = _estimate(checked.expr, {})
    return Cost(estimate.steps, estimate.iterations)


def _estimate(expr: Any, scope: _Scope) -> _Estimate:
    if expr.HasField("call"):
        return _estimate_call(expr.call, scope)
    if expr.HasField("loop"):
        return _estimate_loop(expr.loop, scope)
    if expr.HasField("constant"):
        return _Estimate(1, 0, _Size(max(1, len(expr.constant.text), len(expr.constant.data))))
    if expr.HasField("ident"):
        return _Estimate(1, 0, scope.get(expr.ident.name) or _size_of(expr.ident.name))
    if expr.HasField("select"):
        inner = _estimate(expr.select.operand, scope)
        if expr.select.operand.HasField("select") and _is_extra(expr.select.operand.select, scope):
            return _Estimate(1, 0, _size_of(f"order.{expr.select.operand.select.field}.{expr.select.field}"))
        if expr.select.operand.HasField("ident") and expr.select.operand.ident.name not in scope:
            return _Estimate(1, 0, _size_of(f"{expr.select.operand.ident.name}.{expr.select.field}"))
        return _Estimate(inner.steps + 1, inner.iterations, inner.size.item or inner.size)
    elements = [*expr.items.elements, *(part for pair in expr.pairs.entries for part in (pair.key, pair.value))]
    parts = [_estimate(element, scope) for element in elements]
    length = len(expr.items.elements) or len(expr.pairs.entries)
    return _Estimate(
        1 + _sum_steps(*parts), _sum_iterations(*parts), _Size(length, _max_size(*(part.size for part in parts)))
    )


def _estimate_call(call: Any, scope: _Scope) -> _Estimate:
    operands = [call.target] if call.HasField("target") else []
    operands += call.args
    parts = [_estimate(operand, scope) for operand in operands]
    sizes = [part.size for part in parts]
    scanned, size = sum(one.total for one in sizes) // _CHARACTERS, _max_size(*sizes)
    if call.function == "_+_":
        size = _Size(sum(one.length for one in sizes), size.item)
        scanned = 2 * size.length if size.item else scanned  # elements are copied one by one
    elif call.function == "_?_:_":
        size = _max_size(*sizes[1:])
    elif call.function == "_[_]":
        size = sizes[0].item or sizes[0]
    elif call.function == "@in":
        scanned += sizes[-1].length
    elif call.function == "matches":
        scanned, size = sizes[0].total * _count_states(operands[-1], sizes[-1]) // _STATES, _Size()
    elif call.function in ("string", "bytes"):
        size = _Size(max(size.length, _DEFAULT_LENGTH))
    elif call.function != "dyn":
        size = _Size()  # a number, a flag or a time
    return _Estimate(1 + _sum_steps(*parts) + scanned, _sum_iterations(*parts), size)


def _estimate_loop(loop: Any, scope: _Scope) -> _Estimate:
    over, start = _estimate(loop.range, scope), _estimate(loop.start, scope)
    times, element = over.size.length, over.size.item or over.size
    inside = {**scope, loop.variable: element, loop.second_variable: element}
    inside[loop.result_variable] = start.size
    if loop.start.HasField("items"):  # a list that grows with each iteration
        grows = _estimate(loop.step, {**inside, loop.result_variable: _Size(0)}).size
        inside[loop.result_variable] = _Size(start.size.length + times * grows.length, grows.item)
    step, condition, result = (_estimate(part, inside) for part in (loop.step, loop.condition, loop.result))
    return _Estimate(
        _sum_steps(over, start, result) + times * (1 + _sum_steps(step, condition)),
        _sum_iterations(over, start, result) + times * (1 + _sum_iterations(step, condition)),
        result.size,
    )


def _count_states(operand: Any, size: _Size) -> int:
    """Count the states of a pattern; a part with {n,m} counts m times. A pattern from the order may be any."""
    if not operand.HasField("constant"):
        return size.total * _MAX_REPETITIONS
    text = operand.constant.text
    repetitions = list(_REPEATED.finditer(text))
    states = 4 + len(text) // (1 if repetitions else 8)
    for repeated in repetitions:
        states *= max(1, min(_MAX_REPETITIONS, int(repeated[2] or repeated[1])))
    return states


def _is_extra(select: Any, scope: _Scope) -> bool:
    """Return whether an expression is order.extra or order.texts."""
    names = select.operand.ident.name if select.operand.HasField("ident") else ""
    return names == "order" and names not in scope and select.field in ("extra", "texts")


@cache
def _size_of(name: str) -> _Size:
    """Return the maximum size of the value of a name."""
    if is_extra(name):
        return _Size(MAX_TEXT_LENGTH if name.startswith(TEXT) else 1)
    field = FIELDS.get(name.removeprefix("order.")) if name.startswith("order.") else None
    if field is None or field.kind != "text":
        return _Size(_DEFAULT_LENGTH if name == "likely_abuse" or (field and field.kind == "enum") else 1)
    descriptor: Any = Transaction.DESCRIPTOR.fields_by_name[field.name]
    return _Size(rules_of(descriptor).max_len or _DEFAULT_LENGTH)


def _sum_steps(*parts: _Estimate) -> int:
    return sum(part.steps for part in parts)


def _sum_iterations(*parts: _Estimate) -> int:
    return sum(part.iterations for part in parts)


def _max_size(*sizes: _Size) -> _Size:
    items = [size.item for size in sizes if size.item]
    return _Size(max((size.length for size in sizes), default=1), _max_size(*items) if items else None)


@cache
def _checked_expr_class() -> Any:
    """Return the message class for a checked program."""
    file = descriptor_pb2.FileDescriptorProto(name="cel_syntax.proto", package="cel_syntax", syntax="proto3")
    for message, fields in _SYNTAX.items():
        described = file.message_type.add(name=message)
        for number, name, kind in fields:
            one = described.field.add(name=name, number=number)
            one.label = one.LABEL_REPEATED if kind.endswith("*") else one.LABEL_OPTIONAL
            if kind:
                one.type, one.type_name = one.TYPE_MESSAGE, f".cel_syntax.{kind.removesuffix('*')}"
            else:
                one.type = one.TYPE_BYTES if name == "data" else one.TYPE_STRING
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("cel_syntax.Checked"))
