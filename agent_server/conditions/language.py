"""The condition language of policies: CEL expressions over the order, the score and lists. Pure.

A condition is type-checked against the contract when it is compiled. A condition on an unknown field does not match: in
CEL an absent value is an error, unless the other side of `||` or `&&` determines the result.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel

from agent_server.conditions.cost import MAX_ITERATIONS, MAX_STEPS, Cost, cost_of
from agent_server.conditions.extras import NUMBER, TEXT, assignments, find_misused_extra, is_extra, replace_texts
from agent_server.conditions.history_counts import COUNT_VARIABLE, CountError, replace_counts
from agent_server.conditions.presence import PRESENCE_VARIABLE, find_misused_has, presence_variable, replace_has
from agent_server.conditions.whole_numbers import SourceError, compile_with_fractions
from contract.abuse_types import ABUSE_TYPES
from contract.fields import FIELDS
from history.definitions import Definition

_TYPES = {
    "text": cel.Type.STRING,
    "number": cel.Type.DOUBLE,
    "count": cel.Type.INT,
    "flag": cel.Type.BOOL,
    "time": cel.Type.TIMESTAMP,
    "enum": cel.Type.STRING,
}
AMOUNT_IN_BASE: Final = "order.amount_in_base"
"""Name of the order's value in the base currency, which is no field."""
KINDS: Final[Mapping[str, str]] = {
    **{f"order.{field.name}": field.kind for field in FIELDS.values()},
    AMOUNT_IN_BASE: "number",
    "score": "number",
    **{f"abuse.{name}": "number" for name in ABUSE_TYPES},
    "likely_abuse": "enum",
}
"""The names that a condition can use, except lists, with the kind of their values."""
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"order.{field.name}": tuple(field.numbers) for field in FIELDS.values() if field.kind == "enum"},
    "likely_abuse": ABUSE_TYPES,
}
"""The possible values of names of the kind enum."""
KINDS_OF_EXTRAS: Final = (cel.Type.DOUBLE, cel.Type.STRING)
_SOURCE = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_COMMENT = "//"
_LITERAL = re.compile(r"//[^\n]*|'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_NAME = re.compile(
    r"\border\s*\.\s*(?:extra|texts)\s*\.\s*\w+|\b(?:order|abuse|lists)\s*\.\s*\w+|\b(?:score|likely_abuse)\b"
    rf"|{COUNT_VARIABLE.pattern}"
)
_ERROR_TOLERANT = re.compile(r"\|\||\?|\b(?:has|all|exists|exists_one|map|filter)\s*\(")
_IN_LIST = re.compile(r"\border\.((?:extra\.)?\w+)\s+in\s+lists\.(\w+)")
_COMPARED = re.compile(r"\b(order\.\w+|likely_abuse)\s*(?:==|!=|\bin\b)\s*(\[[^\]]*\]|@+)")
_UNKNOWN = "UNKNOWN: No value with name"
"""Prefix of CEL's error for a variable without a value."""


class ConditionError(Exception):
    """A condition is invalid. `line` and `column` count from 1 within its text."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class EvaluationError(Exception):
    """A condition could not be evaluated, although its names are known. `kind` is CEL's error code, without values."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        kind, _, detail = cause.partition(": ")
        self.kind = kind if re.fullmatch("[A-Z_]+", kind) else "INTERNAL"
        self.cause = detail or cause


@dataclass(frozen=True)
class PolicyCondition:
    """A compiled condition, with the names that it reads and the pairs of field and list that it looks up."""

    text: str
    source: str
    """The CEL source that was compiled from `text`."""
    names: frozenset[str]
    presence: frozenset[str]
    """The names whose presence it tests with `has`."""
    list_lookups: frozenset[tuple[str, str]]
    counts: frozenset[Definition]
    """The counts of history that it reads."""
    program: Any
    needs_all_names: bool
    """Whether it can match only if all its names are known: no operator in it tolerates an error."""
    cost: Cost

    def can_match(self, known: Set[str]) -> bool:
        """Return whether it can match if these names are known. This takes a twentieth of the time of an evaluation."""
        return not self.needs_all_names or self.names <= known

    def matches(self, activation: Any) -> bool:
        """Return whether it is true; False also if that is unknown or it cannot be evaluated."""
        try:
            return self.evaluate(activation) is True
        except EvaluationError:
            return False

    def evaluate(self, activation: Any) -> bool | None:
        """Return the result; None if it depends on an unknown value. Raises EvaluationError."""
        try:
            value = self.program.eval(activation).value()
        except Exception as error:  # a limit of CEL, or an unsupported value; must not stop other rules
            raise EvaluationError(str(error)) from error
        if isinstance(value, bool):
            return value
        if str(value).startswith(_UNKNOWN):
            return None
        raise EvaluationError(str(value))


class Language:
    """The names that conditions can use, including lists."""

    def __init__(self, lists: Iterable[str] = ()) -> None:
        self.lists = tuple(lists)
        types = {name: _TYPES[kind] for name, kind in KINDS.items()}
        types |= {f"lists.{name}": cel.Type.List(cel.Type.STRING) for name in self.lists}
        self._names = tuple(types)
        types |= {presence_variable(name): cel.Type.BOOL for name in KINDS if "." in name}
        self._types = types
        self._environment = cel.NewEnv(variables=types)

    def compile(self, text: str) -> PolicyCondition:
        """Compile and check a condition. Raises ConditionError."""
        masked = mask_literals(text)
        self._check_names(masked)
        counted, counts = self._declare_counts(text, masked)
        masked = mask_literals(counted)
        unread, presence = replace_has(counted, masked)
        first_error: ConditionError | None = None
        for texts in assignments(masked):
            self._declare(texts)
            replaced = replace_texts(unread, mask_literals(unread), texts)
            try:
                source, program = compile_with_fractions(replaced, mask_literals, self._environment.compile)
                break
            except SourceError as error:
                first_error = first_error or self._translate_error(masked, error.source, str(error))
        else:
            assert first_error is not None
            raise first_error
        if program.return_type() != cel.Type.BOOL:
            raise ConditionError(f"a condition must be a bool, this is {program.return_type().name()}", 1, 1)
        list_lookups = self._find_list_lookups(masked)
        _check_enum_values(counted, masked)
        read = mask_literals(replaced)
        names = frozenset(re.sub(r"\s", "", match[0]) for match in _NAME.finditer(read))
        needs_all_names, cost = not _ERROR_TOLERANT.search(read), cost_of(program.serialize())
        _check_cost(cost)
        return PolicyCondition(text, source, names, presence, list_lookups, counts, program, needs_all_names, cost)

    def compile_any(self, conditions: Sequence[PolicyCondition]) -> Any:
        """Compile a program that is false if none of the conditions is true and all their names are known.

        Return None if together they exceed CEL's limit on nesting.
        """
        try:
            return self._environment.compile(" || ".join(f"({one.source}\n)" for one in conditions))
        except RuntimeError:
            return None

    def activation(self, values: Mapping[str, Any]) -> Any:
        """Return the input of evaluations, from the known values by name."""
        return self._environment.Activation(dict(values))

    def _declare_counts(self, text: str, masked: str) -> tuple[str, frozenset[Definition]]:
        """Replace the counts of a condition by variables, which are declared. Raises ConditionError."""
        try:
            text, counts = replace_counts(text, masked)
        except CountError as error:
            raise _error_at(masked, error.place, error.message) from None
        if new := {count.name: cel.Type.INT for count in counts if count.name not in self._types}:
            self._types |= new
            self._environment = cel.NewEnv(variables=self._types)
        return text, counts

    def _declare(self, texts: Mapping[str, bool]) -> None:
        """Declare the variables of extras. Programs that were compiled before stay valid."""
        new = {f"{TEXT if is_text else NUMBER}{name}": KINDS_OF_EXTRAS[is_text] for name, is_text in texts.items()}
        new |= {presence_variable(f"{NUMBER}{name}"): cel.Type.BOOL for name in texts}
        if new.keys() - self._types.keys():
            self._types |= new
            self._environment = cel.NewEnv(variables=self._types)

    def _check_names(self, masked: str) -> None:
        """Reject syntax that CEL would interpret differently from how it reads. Raises ConditionError."""
        if flag := PRESENCE_VARIABLE.search(masked) or COUNT_VARIABLE.search(masked):
            raise _error_at(masked, flag.start(), f"unknown name {flag[0]}")
        if (place := masked.find("`")) >= 0:
            raise _error_at(masked, place, "backticks are not allowed; write names like order.email_domain")
        if (misused := find_misused_extra(masked)) is not None:
            raise _error_at(masked, misused, "extras are read by name; write order.extra.<name>")
        if (misused := find_misused_has(masked)) is not None:
            raise _error_at(masked, misused, "has() takes one field of an order; write has(order.email_domain)")

    def _translate_error(self, masked: str, source: str, cause: str) -> ConditionError:
        """Return CEL's error in our words, at the position of the name that it is about."""
        match = _SOURCE.search(cause)
        if match is None:
            deep = "recursion" in cause
            return ConditionError("condition is nested too deeply" if deep else "invalid condition", 1, 1)
        line, column, message = int(match[1]), int(match[2]), match[3].split(" (in container")[0]
        column -= _count_added(masked, source, line, column)
        unknown = re.fullmatch(r"undeclared reference to '([\w.]+)'", message)
        message = message.replace(TEXT, NUMBER)
        if unknown:
            name = PRESENCE_VARIABLE.sub(r"\1.\2", unknown[1])
            place = masked.find(name)
            if place >= 0:
                line, column = masked.count("\n", 0, place) + 1, place - masked.rfind("\n", 0, place)
            close = difflib.get_close_matches(name, self._names, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            message = f"unknown name {name}{hint}"
        elif "(double, int)" in message or "(int, double)" in message:
            message = "a double is compared with an int; write 100.0 for 100, or double(…)"
        elif "no matching overload" in message:
            message = message.replace("found no matching overload for", "types do not match:")
        return ConditionError(message, line, column)

    def _find_list_lookups(self, masked: str) -> frozenset[tuple[str, str]]:
        pairs = set()
        for place in re.finditer(r"\blists\b", masked):
            match = next(
                (pair for pair in _IN_LIST.finditer(masked) if pair.start() < place.start() < pair.end()), None
            )
            field = "" if match is None else match[1].replace("extra.", "texts.")
            if match is None or kind_of(f"order.{field}") not in ("text", "enum"):
                raise _error_at(masked, place.start(), "write lists as `order.<string field> in lists.<name>`")
            pairs.add((field, match[2]))
        return frozenset(pairs)


def kind_of(name: str) -> str | None:
    """Return the kind of a name's values; None if there is no such name."""
    if is_extra(name):
        return "text" if name.startswith(TEXT) else "number"
    return "count" if COUNT_VARIABLE.fullmatch(name) else KINDS.get(name)


def _count_added(masked: str, source: str, line: int, column: int) -> int:
    """Count the characters that were inserted before a position in the CEL source."""
    if len(source) == len(masked):
        return 0
    original, given = masked.split("\n")[line - 1], mask_literals(source).split("\n")[line - 1]
    added = at = 0
    for character in given[: column - 1]:
        if at < len(original) and original[at] == character:
            at += 1
        else:
            added += 1
    return added


def mask_literals(text: str) -> str:
    """Replace string literals by @ and comments by spaces. The length, and so every position, stays the same."""
    return _LITERAL.sub(lambda match: re.sub(r"[^\n]", " " if match[0].startswith(_COMMENT) else "@", match[0]), text)


def string_literals(text: str) -> list[str]:
    """Return the string literals in a condition, without quotes."""
    return [match[0].strip("'\"") for match in _LITERAL.finditer(text) if not match[0].startswith(_COMMENT)]


def _check_enum_values(text: str, masked: str) -> None:
    """Reject comparisons with a value that an enum does not have. Raises ConditionError."""
    for compared in _COMPARED.finditer(masked):
        choices = CHOICES.get(compared[1])
        if choices is None:
            continue
        for literal in _LITERAL.finditer(text, compared.start(2), compared.end(2)):
            if literal[0].startswith(_COMMENT):
                continue
            value = literal[0].strip("'\"")
            if value not in choices:
                message = f"{compared[1]} is never {value!r}; use one of {', '.join(choices)}"
                raise _error_at(masked, literal.start(), message)


def _check_cost(cost: Cost) -> None:
    """Reject a condition that could take too long. Raises ConditionError."""
    if cost.iterations >= MAX_ITERATIONS:
        message = f"condition loops up to {cost.iterations:,} times, the limit is {MAX_ITERATIONS:,}"
        raise ConditionError(f"{message}; shorten its lists or nest them less", 1, 1)
    if cost.steps > MAX_STEPS:
        message = f"condition takes up to {cost.steps:,} steps per order, the limit is {MAX_STEPS:,}"
        raise ConditionError(f"{message}; shorten its lists, strings and patterns", 1, 1)


def _error_at(text: str, place: int, message: str) -> ConditionError:
    return ConditionError(message, text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place))
