"""What conditions of a policy can name, and how they are evaluated: CEL over the order, the score and lists. Pure.

A condition is checked against the types of the contract when it is read. One that reads an unknown field does not match: CEL
itself says that an absent value makes an error, except where the other side of `||` or `&&` settles it.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel

from agent_server.conditions.cost import MOST_ITERATIONS, MOST_STEPS, Cost, cost_of
from agent_server.conditions.presence import FLAG, flag_of, misused_has, replace_has
from contract.abuse_types import ABUSE_TYPES
from contract.fields import FIELDS

_TYPES = {
    "text": cel.Type.STRING,
    "number": cel.Type.DOUBLE,
    "count": cel.Type.INT,
    "flag": cel.Type.BOOL,
    "time": cel.Type.TIMESTAMP,
    "enum": cel.Type.STRING,
}
KINDS: Final[Mapping[str, str]] = {
    **{f"order.{field.name}": field.kind for field in FIELDS.values()},
    "score": "number",
    **{f"abuse.{name}": "number" for name in ABUSE_TYPES},
    "likely_abuse": "enum",
}
"""What there is, by the kind of its values."""
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"order.{field.name}": tuple(field.numbers) for field in FIELDS.values() if field.kind == "enum"},
    "likely_abuse": ABUSE_TYPES,
}
"""What those of the kind enum can be."""
_SOURCE = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_COMMENT = "//"
_TEXT = re.compile(r"//[^\n]*|'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_NAME = re.compile(r"\b(?:order|abuse|lists)\s*\.\s*\w+|\b(?:score|likely_abuse)\b")
_FORGIVING = re.compile(r"\|\||\?|\b(?:has|all|exists|exists_one|map|filter)\s*\(")
_IN_LIST = re.compile(r"\border\.(\w+)\s+in\s+lists\.(\w+)")
_WHOLE = re.compile(r"\b(order\.\w+|abuse\.\w+|score)\s*(?:<=?|>=?|==|!=)\s*-?\d+(?![\w.])")
_COMPARED = re.compile(r"\b(order\.\w+|likely_abuse)\s*(?:==|!=|\bin\b)\s*(\[[^\]]*\]|@+)")
_UNKNOWN = "UNKNOWN: No value with name"
"""How CEL's complaint about a variable without a value begins."""


class ConditionError(Exception):
    """A condition that cannot be meant; `line` and `column` count from 1 within its text."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class ConditionFailed(Exception):
    """A condition could not be evaluated for an order, though its names are known; `kind` says why without any value."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        kind, _, said = cause.partition(": ")
        self.kind = kind if re.fullmatch("[A-Z_]+", kind) else "INTERNAL"
        self.cause = said or cause


@dataclass(frozen=True)
class Condition:
    """A condition that was checked, with the names it reads and the pairs of a field and a list that it looks up."""

    text: str
    written: str
    """As CEL is given it."""
    names: frozenset[str]
    presence: frozenset[str]
    """The names of which it asks whether they are known."""
    looked_up: frozenset[tuple[str, str]]
    program: Any
    needs_all: bool
    """Whether it holds only where all its names are known: nothing in it makes up for an error."""
    cost: Cost

    def can_hold(self, known: Set[str]) -> bool:
        """Whether it could hold where these names are known; asked before it is, since that takes a twentieth of the time."""
        return not self.needs_all or self.names <= known

    def matches(self, activation: Any) -> bool:
        """Whether it holds for certain."""
        try:
            return self.answer(activation) is True
        except ConditionFailed:
            return False

    def answer(self, activation: Any) -> bool | None:
        """Whether it holds; None where that hangs on something unknown. Raises ConditionFailed."""
        try:
            value = self.program.eval(activation).value()
        except Exception as error:  # CEL's limits are reached, or a value is beyond it: no rule may stop the others
            raise ConditionFailed(str(error)) from error
        if isinstance(value, bool):
            return value
        if str(value).startswith(_UNKNOWN):
            return None
        raise ConditionFailed(str(value))


class Language:
    """The names that conditions can use, lists among them."""

    def __init__(self, lists: Iterable[str] = ()) -> None:
        self.lists = tuple(lists)
        types = {name: _TYPES[kind] for name, kind in KINDS.items()}
        types |= {f"lists.{name}": cel.Type.List(cel.Type.STRING) for name in self.lists}
        self._names = tuple(types)
        types |= {flag_of(name): cel.Type.BOOL for name in KINDS if "." in name}
        self._environment = cel.NewEnv(variables=types)

    def compile(self, text: str) -> Condition:
        """A condition, checked. Raises ConditionError."""
        masked = without_texts(text)
        self._check_names(masked)
        replaced, presence = replace_has(text, masked)
        written = _with_fractions(replaced)
        try:
            program = self._environment.compile(written)
        except RuntimeError as error:
            raise self._explained(masked, written, str(error)) from None
        if program.return_type() != cel.Type.BOOL:
            raise ConditionError(f"a condition says yes or no, this one gives {program.return_type().name()}", 1, 1)
        looked_up = self._looked_up(masked)
        _check_choices(text, masked)
        read = without_texts(replaced)
        names = frozenset(re.sub(r"\s", "", match[0]) for match in _NAME.finditer(read))
        needs_all, cost = not _FORGIVING.search(read), cost_of(program.serialize())
        _check_cost(cost)
        return Condition(text, written, names, presence, looked_up, program, needs_all, cost)

    def any_of(self, conditions: Sequence[Condition]) -> Any:
        """A program that is false where none of some conditions holds, if all their names are known.

        None where they are more than CEL takes at once: what is nested to its limit alone is beyond it together.
        """
        try:
            return self._environment.compile(" || ".join(f"({one.written}\n)" for one in conditions))
        except RuntimeError:
            return None

    def activation(self, values: Mapping[str, Any]) -> Any:
        """What conditions are asked about: the known values by name."""
        return self._environment.Activation(dict(values))

    def _check_names(self, masked: str) -> None:
        """Refuse what CEL would take for something else than it looks like. Raises ConditionError."""
        if flag := FLAG.search(masked):
            raise _error_at(masked, flag.start(), f"there is no {flag[0]}")
        if (place := masked.find("`")) >= 0:
            raise _error_at(masked, place, "names stand without backticks: order.email_domain")
        if (misused := misused_has(masked)) is not None:
            raise _error_at(masked, misused, "has() takes one field of an order: has(order.email_domain)")

    def _explained(self, masked: str, written: str, said: str) -> ConditionError:
        """CEL's own complaint in our words, at the name that it is about."""
        match = _SOURCE.search(said)
        if match is None:
            deep = "recursion" in said
            return ConditionError("this is nested too deeply" if deep else "this is no condition", 1, 1)
        line, column, message = int(match[1]), int(match[2]), match[3].split(" (in container")[0]
        column -= _added_before(masked, written, line, column)
        unknown = re.fullmatch(r"undeclared reference to '([\w.]+)'", message)
        if unknown:
            name = FLAG.sub(r"\1.\2", unknown[1])
            place = masked.find(name)
            if place >= 0:
                line, column = masked.count("\n", 0, place) + 1, place - masked.rfind("\n", 0, place)
            close = difflib.get_close_matches(name, self._names, 1)
            hint = f": did you mean {close[0]}?" if close else ""
            message = f"there is no {name}{hint}"
        elif "(double, int)" in message or "(int, double)" in message:
            message = "a number with a fraction is compared with a whole one: write 100.0 for 100, or double(…)"
        elif "no matching overload" in message:
            message = message.replace("found no matching overload for", "types do not fit:")
        return ConditionError(message, line, column)

    def _looked_up(self, masked: str) -> frozenset[tuple[str, str]]:
        pairs = set()
        for place in re.finditer(r"\blists\b", masked):
            match = next(
                (pair for pair in _IN_LIST.finditer(masked) if pair.start() < place.start() < pair.end()), None
            )
            if match is None or KINDS.get(f"order.{match[1]}") not in ("text", "enum"):
                raise _error_at(
                    masked, place.start(), "a list stands right of `in`, and left of it a text of the order"
                )
            pairs.add((match[1], match[2]))
        return frozenset(pairs)


def _with_fractions(text: str) -> str:
    """Whole numbers that amounts and scores are compared with, as numbers with a fraction: CEL compares only equal types."""
    whole = _WHOLE.finditer(without_texts(text))
    places = [compared.end() for compared in whole if KINDS.get(compared[1]) == "number"]
    for place in reversed(places):
        text = f"{text[:place]}.0{text[place:]}"
    return text


def _added_before(masked: str, written: str, line: int, column: int) -> int:
    """How many characters of fractions stand before a place in what CEL was given."""
    if len(written) == len(masked):
        return 0
    original, given = masked.split("\n")[line - 1], without_texts(written).split("\n")[line - 1]
    added = at = 0
    for character in given[: column - 1]:
        if at < len(original) and original[at] == character:
            at += 1
        else:
            added += 1
    return added


def without_texts(text: str) -> str:
    """A condition with @ for its texts and spaces for its comments: of the same length, so that places stay."""
    return _TEXT.sub(lambda match: re.sub(r"[^\n]", " " if match[0].startswith(_COMMENT) else "@", match[0]), text)


def texts_of(text: str) -> list[str]:
    """The texts in a condition, without quotes."""
    return [match[0].strip("'\"") for match in _TEXT.finditer(text) if not match[0].startswith(_COMMENT)]


def _check_choices(text: str, masked: str) -> None:
    """A value that an enum never has is a typo."""
    for compared in _COMPARED.finditer(masked):
        choices = CHOICES.get(compared[1])
        if choices is None:
            continue
        for literal in _TEXT.finditer(text, compared.start(2), compared.end(2)):
            if literal[0].startswith(_COMMENT):
                continue
            value = literal[0].strip("'\"")
            if value not in choices:
                said = f"{compared[1]} is never {value!r}: it is one of {', '.join(choices)}"
                raise _error_at(masked, literal.start(), said)


def _check_cost(cost: Cost) -> None:
    """Refuse what could take too long for one order. Raises ConditionError."""
    if cost.iterations >= MOST_ITERATIONS:
        said = f"loops of up to {cost.iterations:,} turns, and the evaluation is given up at {MOST_ITERATIONS:,}"
        raise ConditionError(f"{said}: shorten its lists or nest them less", 1, 1)
    if cost.steps > MOST_STEPS:
        said = f"this takes up to {cost.steps:,} steps for one order, at most {MOST_STEPS:,} are allowed"
        raise ConditionError(f"{said}: shorten its lists, texts and patterns", 1, 1)


def _error_at(text: str, place: int, message: str) -> ConditionError:
    return ConditionError(message, text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place))
