"""One input of the model, and how it tells itself to a reviewer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from string import Formatter
from typing import Any

from contract.fields import FIELDS
from generated.vouch.v1.scoring_service_pb2 import FeatureGroup
from ml_server.features.operations import Operation
from ml_server.features.sources import Fields

Sentence = str | Mapping[float, str]


@dataclass(frozen=True)
class Shown:
    """A value in a template. Behind a semicolon its format has words for one and for any other number, which follow the number,
    or stand alone behind a question mark: {value:.0f;day|days} is `1 day`, {value:.0f;?is|are} is `is`.
    """

    value: str | float

    def __format__(self, spec: str) -> str:
        """The value, with a word for it."""
        how, _, words = spec.partition(";")
        number = format(self.value, how)
        if not words:
            return number
        one, many = words.removeprefix("?").split("|")
        word = one if number == "1" else many
        return word if words.startswith("?") else f"{number} {word}"


@dataclass(frozen=True)
class Feature:
    """One input of the model.

    `sentence` is a template over the fields, `value`, and `text`, the first field as it stands (names of extras are no names in
    a template); or one template for each value, for flags and names. See `Shown` for words that depend on a number.
    """

    name: str
    group: FeatureGroup
    operation: Operation
    sentence: Sentence

    def explain(self, value: float, fields: Fields) -> str:
        """The sentence for one order; says so where the feature is unknown."""
        if math.isnan(value):
            return f"{', '.join(self.operation.inputs)} unknown"
        template = self.sentence if isinstance(self.sentence, str) else self.sentence.get(value)
        if template is None:
            return f"{self.name} is {value:g}"
        # What a template does not name is not made: a time, say, costs as much as the rest of the sentence.
        shown: dict[str, Shown] = {}
        for name in _named_in(template):
            if name == "value":
                shown[name] = Shown(value + 0.0)  # not -0: see `show`
            else:
                shown[name] = Shown(show(self.operation.inputs[0] if name == "text" else name, fields))
        return template.format_map(shown)

    @property
    def shows(self) -> tuple[str, ...] | None:
        """The fields that its value and its sentence are made of; None where one is a time, of which no two are alike."""
        templates = [self.sentence] if isinstance(self.sentence, str) else self.sentence.values()
        named = {name for template in templates for name in _named_in(template)} & FIELDS.keys()
        names = tuple(sorted(named | set(self.operation.inputs)))
        return None if any(name in FIELDS and FIELDS[name].kind == "time" for name in names) else names


@cache
def _named_in(template: str) -> tuple[str, ...]:
    """Names of the fields that a template shows."""
    return tuple({name for _, name, _, _ in Formatter().parse(template) if name})


@cache
def _shorts(name: str) -> dict[int, str]:
    """Short names of a field's enum values by number."""
    return {number: short for short, number in FIELDS[name].numbers.items()}


def show(name: str, fields: Fields) -> str:
    """A field's value as a reviewer reads it; "unknown" where it is absent.

    Equal values are shown alike, -0.0 as 0.0: what is shown is remembered by the value.
    """
    value: Any = fields.get(name)
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    kind = FIELDS[name].kind if name in FIELDS else ""
    if kind == "enum":
        return _shorts(name).get(value, str(value))
    if kind == "time":
        return str(value.ToJsonString())
    if isinstance(value, float):
        return f"{value + 0.0:.2f}"
    return str(value)
