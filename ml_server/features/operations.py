"""Computation of features: each operation for columns and for one message, with bitwise equal results.

Both forms are next to each other for comparison; a test compares them on thousands of rows.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np

from ml_server.features.sources import NAN, ColumnSource, Fields, Numbers

DAY = 86_400
UNDEFINED = (ZeroDivisionError, OverflowError)
OTHERS = ""
"""Key in a ranking for every text that it does not list."""


class Operation(ABC):
    """Computes one number for each order; NaN means unknown."""

    inputs: tuple[str, ...]
    needs_all = True
    """Whether the result is unknown if any input is."""

    @abstractmethod
    def column(self, columns: ColumnSource) -> Numbers:
        """Return the values of a table, shape (rows,)."""

    @abstractmethod
    def value(self, fields: Fields) -> float:
        """Return the value of a message."""

    @abstractmethod
    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """Return `value` as a Python expression for a compiled reader.

        `inputs` are variables with the inputs, times as whole seconds. Absent ones are None, which only happens if not
        all are needed. `bind` returns a name for an object that the expression uses. If the expression raises one of
        UNDEFINED or is infinite, the feature is unknown.
        """


@dataclass(frozen=True)
class Value(Operation):
    """A number, flag or name, unchanged."""

    name: str
    inputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", (self.name,))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        return columns.number(self.name)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        return fields.get(self.name, NAN)  # type: ignore[no-any-return]

    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """See Operation."""
        return inputs[0]


@dataclass(frozen=True)
class Arithmetic(Operation):
    """Two or more numbers combined by a formula that gives the same result for floats and arrays."""

    inputs: tuple[str, ...]
    formula: Callable[..., Any]
    _read: Callable[[Fields], tuple[Any, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_read", itemgetter(*self.inputs))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        with np.errstate(all="ignore"):
            result = np.asarray(self.formula(*(columns.number(name) for name in self.inputs)), dtype=np.float64)
        return np.where(np.isinf(result), NAN, result)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        try:
            result: float = self.formula(*self._read(fields))
        except (KeyError, *UNDEFINED):
            return NAN
        return NAN if math.isinf(result) else result

    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """See Operation."""
        return f"{bind(self.formula)}({', '.join(inputs)})"


@dataclass(frozen=True)
class Differs(Operation):
    """1 if two texts differ, 0 if they are equal."""

    inputs: tuple[str, str]

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        first, second = (columns.text(name) for name in self.inputs)
        place = {text: code for code, text in enumerate(first.values)}
        # -2 is a text that the first column does not have: it differs from every code, as does unknown (-1).
        translation = np.array([*(place.get(text, -2) for text in second.values), -1], dtype=np.int64)
        other = translation[second.codes]
        return np.where((first.codes < 0) | (other == -1), NAN, (first.codes != other).astype(np.float64))

    def value(self, fields: Fields) -> float:
        """See Operation."""
        first, second = self.inputs
        one, other = fields.get(first), fields.get(second)
        return NAN if one is None or other is None else one != other

    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """See Operation."""
        return f"{inputs[0]} != {inputs[1]}"


@dataclass(frozen=True)
class TextScore(Operation):
    """A number computed from a text by a function."""

    name: str
    score: Callable[[str], float]
    inputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", (self.name,))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        text = columns.text(self.name)
        return np.array([*(self.score(value) for value in text.values), NAN], dtype=np.float64)[text.codes]

    def value(self, fields: Fields) -> float:
        """See Operation."""
        text = fields.get(self.name)
        return NAN if text is None else self.score(text)

    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """See Operation."""
        return f"{bind(self.score)}({inputs[0]})"


@dataclass(frozen=True)
class Ranked(Operation):
    """The number that training assigned to a text (its abuse rate); other texts have that of OTHERS.

    Models before 0.3 have no OTHERS: such texts are unknown to them.
    """

    name: str
    ranking: Mapping[str, float]
    inputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", (self.name,))

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        text, others = columns.text(self.name), self.ranking.get(OTHERS, NAN)
        return np.array([*(self.ranking.get(value, others) for value in text.values), NAN], dtype=np.float64)[
            text.codes
        ]

    def value(self, fields: Fields) -> float:
        """See Operation."""
        text = fields.get(self.name)
        return NAN if text is None else self.ranking.get(text, self.ranking.get(OTHERS, NAN))

    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """See Operation."""
        ranks, others = self.ranking, self.ranking.get(OTHERS, NAN)
        return f"{bind(lambda text: ranks.get(text, others))}({inputs[0]})"


@dataclass(frozen=True)
class FromTime(Operation):
    """A number computed from the timestamp's whole seconds since 1970, in UTC."""

    formula: Callable[[Any], Any]
    inputs: tuple[str, ...] = ("timestamp",)

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        return np.asarray(self.formula(columns.number("timestamp")), dtype=np.float64)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        timestamp = fields.get("timestamp")
        return NAN if timestamp is None else float(self.formula(float(timestamp.seconds)))

    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """See Operation."""
        return f"{bind(self.formula)}({inputs[0]})"


@dataclass(frozen=True)
class AccountAge(Operation):
    """Age of the account in days: the given one, else computed from its creation date."""

    inputs: tuple[str, ...] = ("account_age_days", "account_created_date", "timestamp")
    needs_all = False

    def column(self, columns: ColumnSource) -> Numbers:
        """See Operation."""
        given = columns.number("account_age_days")
        seconds = columns.number("timestamp") - columns.number("account_created_date")
        computed = np.where(seconds >= 0, np.floor(seconds / DAY), NAN)
        return np.where(np.isnan(given), computed, given)

    def value(self, fields: Fields) -> float:
        """See Operation."""
        opened, now = fields.get("account_created_date"), fields.get("timestamp")
        return _age(fields.get("account_age_days"), opened and opened.seconds, now and now.seconds)

    def expression(self, inputs: Sequence[str], bind: Callable[[object], str]) -> str:
        """See Operation."""
        return f"{bind(_age)}({', '.join(inputs)})"


def _age(given: int | None, opened: int | None, now: int | None) -> float:
    """Return the given days, or those between two times in seconds."""
    if given is not None:
        return float(given)
    if opened is None or now is None or now < opened:
        return NAN
    return float(math.floor((now - opened) / DAY))
