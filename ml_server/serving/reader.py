"""Compiles a function that checks an order against the contract, reads it, and computes the model's bins.

The operations define the features and the contract defines valid orders; each of them would read the order separately.
So one function is compiled from both. It reads each field once, returns None as soon as the order may be invalid, and
looks up bins in a table if a field has few values. A test compares it bitwise with the operations, and with
protovalidate.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from contract.extras import NUMBERS, TEXTS, WrongType, number_extra, text_extra
from contract.fields import FIELDS, REQUIRED
from contract.texts import NORMALISED
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.feature import Feature
from ml_server.features.feature_set import FeatureSet
from ml_server.features.operations import UNDEFINED, Differs, Value
from ml_server.features.sources import Fields
from ml_server.model.form import Form
from runtime.validation.contract_predicates import field_conditions, map_predicate

Reading = tuple[list[int], int, tuple[str, ...]]
"""Bins in the groups of the model's form; a bit for each absent field of OPTIONAL; names of absent extras."""
Reader = Callable[[Transaction], Reading | None]
OPTIONAL = tuple(name for name in FIELDS if name not in REQUIRED)
"""Fields that an order can lack, in the order of their bits."""
_SMALL = 1024  # whole numbers below this have their bins in a table: a search takes three times as long
_CACHE_SIZE = 8192  # cached texts of a field


def absent_bits(fields: Fields) -> int:
    """Return a bit for each field of OPTIONAL that is absent."""
    return sum(1 << bit for bit, name in enumerate(OPTIONAL) if name not in fields)


def compile_reader(features: FeatureSet, form: Form) -> Reader:
    """Return the reader of a model. The reader returns None for an order that is or may be invalid."""
    return _Source(features, form).compile()


class _Source:
    """Source code of a reader, and the objects that it uses."""

    def __init__(self, features: FeatureSet, form: Form) -> None:
        self._features, self._form = features, form
        self._names: dict[str, Any] = {"bisect": bisect_left, "INFINITY": math.inf, "NOTHING": UNDEFINED}
        self._lines = ["def read(t):", " absent, unknown, has = 0, (), t.HasField"]
        self._single: dict[str, list[int]] = {}
        self._joint: list[int] = []
        for number, feature in enumerate(features.features):
            inputs = feature.operation.inputs
            if len(inputs) == 1:
                self._single.setdefault(inputs[0], []).append(number)
            else:
                self._joint.append(number)

    def compile(self) -> Reader:
        """Return the compiled function."""
        for field in Transaction.DESCRIPTOR.fields:
            if field.name in FIELDS:
                self._field(field)
        self._extras()
        for number in self._joint:
            self._joint_bin(number, self._features.features[number])
        groups = ", ".join(map(self._group, self._form.groups.features))
        self._add(0, [f"return [{groups}], absent, unknown"])
        exec("\n".join(self._lines), self._names)  # noqa: S102  from our own declarations and the contract, no external input
        # Remove it from its own globals: a reader that references itself would outlive its model until a collection.
        reader: Reader = self._names.pop("read")
        return reader

    def _field(self, field: Any) -> None:
        """Read one field, reject invalid values, and set the bins of features that only use this field."""
        name, value, kind = field.name, f"f_{field.name}", FIELDS[field.name].kind
        present = f"has({name!r})"
        if name in REQUIRED:
            self._add(0, [f"if not {present}: return None"] if field.has_presence else [])
            self._add(0, [f"{value} = t.{name}", *self._present(field, value)])
            return
        absent = [f"absent |= {1 << OPTIONAL.index(name)}", *self._unknown(name)]
        if self._is_combined(name):
            absent.append(f"{value} = None")
        if kind == "time":
            self._add(0, [f"if {present}:"])
            self._add(1, [f"{value} = t.{name}"])
        else:  # a truthy value is present; only others need `HasField`
            self._add(0, [f"{value} = t.{name}", f"if {value} or {present}:"])
        self._add(1, self._present(field, value))
        if name in NORMALISED:
            self._add(1, [f"if not {value}:"])
            self._add(2, absent)
        self._add(0, ["else:"])
        self._add(1, absent)

    def _present(self, field: Any, value: str) -> list[str]:
        """Return the lines for a present field: its rules, its normalisation, its bins."""
        name, kind = field.name, FIELDS[field.name].kind
        conditions = list(dict.fromkeys(field_conditions(field, self._names)))
        features = self._single.get(name, [])
        if kind == "text" and (features or name in NORMALISED):
            return self._text(field, conditions, value)
        test = " and ".join(conditions)
        if kind == "time":
            test = test.replace("$.seconds", value).replace("$.nanos", "nanos")
            lines = [f"nanos = {value}.nanos", f"{value} = {value}.seconds", f"if not ({test}): return None"]
        else:
            lines = [f"if not ({test}): return None".replace("$", value)] if test else []
        if kind == "count" and len(features) == 1 and all(map(self._accepts(test), range(_SMALL))):
            number, otherwise = features[0], [*lines, self._bin_line(features[0], name, value)]
            if isinstance(self._features.features[number].operation, Value):
                lines = [f"if 0 <= {value} < {_SMALL}: b{number} = {self._table(number)}[{value}]", "else:"]
                return lines + [f" {line}" for line in otherwise]
        return lines + [self._bin_line(number, name, value) for number in features] or ["pass"]

    def _text(self, field: Any, conditions: Sequence[str], value: str) -> list[str]:
        """Return the lines for a text: normalisation and bins, cached by the text as received."""
        name, features = field.name, self._single.get(field.name, [])
        normalise: Callable[[str], str] = NORMALISED.get(name, str)
        accepts = self._accepts(" and ".join(conditions))
        binnings = [self._binning(number, name) for number in features]

        def parse_text(text: str) -> tuple[Any, ...]:
            if not accepts(text):
                return (False,)
            normalised = normalise(text)
            return normalised, *((binning(normalised) if normalised else 0) for binning in binnings)

        cached = self._bind(f"parse_{name}", lru_cache(_CACHE_SIZE)(parse_text))
        bins = [f"b{number}" for number in features]
        # False marks an invalid text.
        lines = [f"known = {cached}({value})", f"{value} = known[0]", f"if {value} is False: return None"]
        return lines + [f"{name} = known[{index}]" for index, name in enumerate(bins, 1)]

    def _accepts(self, test: str) -> Callable[[Any], bool]:
        # Evaluated with a copy of the names: objects of a reader must not reference the reader.
        function: Callable[[Any], bool] = eval(f"lambda value: {test.replace('$', 'value') or True}", {**self._names})  # noqa: S307  as above
        return function

    def _binning(self, number: int, name: str) -> Callable[[Any], int]:
        """Return the function from a field's value to the bin. It must not reference this object: that is a cycle."""
        thresholds, value = self._form.thresholds[number], self._features.features[number].operation.value
        return lambda given: bisect_left(thresholds, value({name: given}))

    def _bin(self, number: int, name: str, given: Any) -> int:
        return self._binning(number, name)(given)

    def _is_combined(self, name: str) -> bool:
        return any(name in self._features.features[number].operation.inputs for number in self._joint)

    def _bin_line(self, number: int, name: str, value: str) -> str:
        """Return a line for the bin of a feature of one field that is present and not a text."""
        kind = FIELDS[name].kind
        if kind in ("flag", "enum"):
            values = (False, True) if kind == "flag" else range(max(FIELDS[name].numbers.values()) + 1)
            table = self._bind(f"bins_{number}", tuple(self._bin(number, name, given) for given in values))
            return f"b{number} = {table}[{value}]"
        expression = self._features.features[number].operation.expression([value], self._binder(number))
        return f"b{number} = {self._search_expression(number, expression)}"

    def _joint_bin(self, number: int, feature: Feature) -> None:
        """Add lines for the bin of a feature of several fields."""
        operation, inputs = feature.operation, [f"f_{name}" for name in feature.operation.inputs]
        expression = operation.expression(inputs, self._binder(number))
        if isinstance(operation, Differs):
            thresholds = self._form.thresholds[number]
            table = self._bind(f"bins_{number}", tuple(bisect_left(thresholds, differs) for differs in (False, True)))
            line = f"{table}[{expression}]"
        else:
            line = self._search_expression(number, expression)
        if operation.needs_all:
            line = f"0 if {' or '.join(f'{name} is None' for name in inputs)} else {line}"
        self._add(0, ["try:", f" b{number} = {line}", "except NOTHING:", f" b{number} = 0"])

    def _extras(self) -> None:
        """Add lines that read the model's extras; extras that it does not read are validated too."""
        extra = self._features.extra
        for name in (NUMBERS, TEXTS):
            accepts = self._bind(f"accepts_{name}", map_predicate(Transaction.DESCRIPTOR.fields_by_name[name]))
            self._add(0, [f"{name} = t.{name}", f"if {name} and not {accepts}({name}): return None"])
        if not extra.names:
            return
        self._add(0, ["try:"])
        for name, wanted, read in (
            (NUMBERS, extra.numeric, number_extra), (TEXTS, extra.categorical, text_extra),
        ):  # fmt: skip
            for own in wanted:
                given = f"{self._bind(read.__name__, read)}({NUMBERS}, {TEXTS}, {own!r})"
                plain = f"{NUMBERS}[{own!r}] if {own!r} in {NUMBERS} else {given}" if name == NUMBERS else given
                self._add(1, [f"v = {plain}", "if v is not None:"])
                self._add(2, [self._extra_bin(number, own, name) for number in self._single[own]])
                self._add(1, ["else:"])
                self._add(2, [f"unknown = (*unknown, {own!r})", *self._unknown(own)])
        self._names["WrongType"] = WrongType  # handled like any other doubt
        self._add(0, ["except WrongType:", " return None"])

    def _extra_bin(self, number: int, own: str, name: str) -> str:
        if name == NUMBERS:
            return f"b{number} = bisect({self._thresholds(number)}, v)"
        return f"b{number} = {self._bind(f'bin_{number}', lru_cache(_CACHE_SIZE)(self._binning(number, own)))}(v)"

    def _unknown(self, name: str) -> list[str]:
        numbers = self._single.get(name, ())
        return [f"{' = '.join(f'b{number}' for number in numbers)} = 0"] if numbers else []

    def _group(self, group: Sequence[int]) -> str:
        """Return an expression for the number whose digits are the bins of a group's features."""
        text = "0"
        for number in group:
            digit = f"b{number}"
            text = digit if text == "0" else f"({text}) * {len(self._form.thresholds[number]) + 1} + {digit}"
        return text

    def _search_expression(self, number: int, expression: str) -> str:
        """Return an expression for the bin of an arbitrary value."""
        small = f"{self._table(number)}[v] if (v := {expression}).__class__ is int and 0 <= v < {_SMALL}"
        return f"{small} else bisect({self._thresholds(number)}, v) if -INFINITY < v < INFINITY else 0"

    def _table(self, number: int) -> str:
        thresholds = self._form.thresholds[number]
        return self._bind(f"small_{number}", tuple(bisect_left(thresholds, value) for value in range(_SMALL)))

    def _thresholds(self, number: int) -> str:
        return self._bind(f"thresholds_{number}", self._form.thresholds[number])

    def _binder(self, number: int) -> Callable[[object], str]:
        """Return a function that binds an object for the expression of a feature."""
        return lambda thing: self._bind(f"given_{number}", thing)

    def _add(self, level: int, lines: Sequence[str]) -> None:
        self._lines += [" " * (level + 1) + line for line in lines]

    def _bind(self, name: str, thing: object) -> str:
        self._names[name] = thing
        return name
