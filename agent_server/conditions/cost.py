"""How much work a condition can be at most, whatever the order: counted over its syntax, before it is ever asked. Pure.

CEL has no recursion and no loops but those over lists and maps, and the only lists that a condition can go through are those
that it writes itself. So there is a bound: the iterations of a loop are the length of its list times those inside, and texts
of an order are as long as the contract lets them be. A step is a node of the syntax, 64 characters that are looked at, or
eight states of a pattern at a character.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from contract.fields import FIELDS
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.validation.field_rules import rules_of

MOST_ITERATIONS: Final = 10_000
"""Iterations after which CEL gives up, in one evaluation: a limit of its library."""
MOST_STEPS: Final = 200_000
"""Steps of one condition: about four milliseconds."""
MOST_TOGETHER: Final = 500_000
"""Steps of all conditions of a policy: about ten milliseconds, for which an order waits."""
_CHARACTERS: Final = 64
_STATES: Final = 8
_SHORT: Final = 64
"""Length of texts without a limit in the contract: codes, and numbers written out."""
_MOST_REPEATED: Final = 1000
"""So often RE2 lets a part of a pattern be repeated."""
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
        (1, "variable", ""), (2, "range", "Expr"), (3, "result_variable", ""), (4, "start", "Expr"), (5, "goes_on", "Expr"),
        (6, "step", "Expr"), (7, "result", "Expr"), (8, "second_variable", ""),
    ),
}  # fmt: skip
"""The messages of cel.expr.CheckedExpr, as far as they are read: number, name and type of each field; "" is a text."""


@dataclass(frozen=True)
class Cost:
    """What one evaluation takes at most."""

    steps: int
    iterations: int


@dataclass(frozen=True)
class _Size:
    """The largest value that an expression can have: characters of a text or elements of a list, and these elements."""

    length: int = 1
    item: "_Size | None" = None

    @property
    def total(self) -> int:
        """Characters in all."""
        return self.length * (self.item.total if self.item else 1)


@dataclass(frozen=True)
class _Work:
    steps: int
    iterations: int
    size: _Size


_Scope = Mapping[str, _Size]


def cost_of(serialized: bytes) -> Cost:
    """The bound for a program, as its library serializes it."""
    checked = _checked().FromString(any_pb2.Any.FromString(serialized).value)
    work = _work(checked.expr, {})
    return Cost(work.steps, work.iterations)


def _work(expr: Any, scope: _Scope) -> _Work:
    if expr.HasField("call"):
        return _call(expr.call, scope)
    if expr.HasField("loop"):
        return _loop(expr.loop, scope)
    if expr.HasField("constant"):
        return _Work(1, 0, _Size(max(1, len(expr.constant.text), len(expr.constant.data))))
    if expr.HasField("ident"):
        return _Work(1, 0, scope.get(expr.ident.name) or _size_of(expr.ident.name))
    if expr.HasField("select"):
        inner = _work(expr.select.operand, scope)
        if expr.select.operand.HasField("ident") and expr.select.operand.ident.name not in scope:
            return _Work(1, 0, _size_of(f"{expr.select.operand.ident.name}.{expr.select.field}"))
        return _Work(inner.steps + 1, inner.iterations, inner.size.item or inner.size)
    elements = [*expr.items.elements, *(part for pair in expr.pairs.entries for part in (pair.key, pair.value))]
    parts = [_work(element, scope) for element in elements]
    length = len(expr.items.elements) or len(expr.pairs.entries)
    return _Work(1 + _steps(*parts), _iterations(*parts), _Size(length, _largest(*(part.size for part in parts))))


def _call(call: Any, scope: _Scope) -> _Work:
    operands = [call.target] if call.HasField("target") else []
    operands += call.args
    parts = [_work(operand, scope) for operand in operands]
    sizes = [part.size for part in parts]
    looked_at, size = sum(one.total for one in sizes) // _CHARACTERS, _largest(*sizes)
    if call.function == "_+_":
        size = _Size(sum(one.length for one in sizes), size.item)
        looked_at = 2 * size.length if size.item else looked_at  # elements are copied one by one
    elif call.function == "_?_:_":
        size = _largest(*sizes[1:])
    elif call.function == "_[_]":
        size = sizes[0].item or sizes[0]
    elif call.function == "@in":
        looked_at += sizes[-1].length
    elif call.function == "matches":
        looked_at, size = sizes[0].total * _pattern(operands[-1], sizes[-1]) // _STATES, _Size()
    elif call.function in ("string", "bytes"):
        size = _Size(max(size.length, _SHORT))
    elif call.function != "dyn":
        size = _Size()  # a number, a flag or a time
    return _Work(1 + _steps(*parts) + looked_at, _iterations(*parts), size)


def _loop(loop: Any, scope: _Scope) -> _Work:
    over, start = _work(loop.range, scope), _work(loop.start, scope)
    times, element = over.size.length, over.size.item or over.size
    inside = {**scope, loop.variable: element, loop.second_variable: element}
    inside[loop.result_variable] = start.size
    if loop.start.HasField("items"):  # a list that grows from turn to turn
        grows = _work(loop.step, {**inside, loop.result_variable: _Size(0)}).size
        inside[loop.result_variable] = _Size(start.size.length + times * grows.length, grows.item)
    step, goes_on, result = (_work(part, inside) for part in (loop.step, loop.goes_on, loop.result))
    return _Work(
        _steps(over, start, result) + times * (1 + _steps(step, goes_on)),
        _iterations(over, start, result) + times * (1 + _iterations(step, goes_on)),
        result.size,
    )


def _pattern(operand: Any, size: _Size) -> int:
    """States of a pattern: what is repeated {n,m} times has m times as many. One that comes with the order may have any."""
    if not operand.HasField("constant"):
        return size.total * _MOST_REPEATED
    text = operand.constant.text
    repetitions = list(_REPEATED.finditer(text))
    states = 4 + len(text) // (1 if repetitions else 8)
    for repeated in repetitions:
        states *= max(1, min(_MOST_REPEATED, int(repeated[2] or repeated[1])))
    return states


@cache
def _size_of(name: str) -> _Size:
    """What a name of the language can be at most."""
    field = FIELDS.get(name.removeprefix("order.")) if name.startswith("order.") else None
    if field is None or field.kind != "text":
        return _Size(_SHORT if name == "likely_abuse" or (field and field.kind == "enum") else 1)
    descriptor: Any = Transaction.DESCRIPTOR.fields_by_name[field.name]
    return _Size(rules_of(descriptor).max_len or _SHORT)


def _steps(*parts: _Work) -> int:
    return sum(part.steps for part in parts)


def _iterations(*parts: _Work) -> int:
    return sum(part.iterations for part in parts)


def _largest(*sizes: _Size) -> _Size:
    items = [size.item for size in sizes if size.item]
    return _Size(max((size.length for size in sizes), default=1), _largest(*items) if items else None)


@cache
def _checked() -> Any:
    """The message class of a checked program."""
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
