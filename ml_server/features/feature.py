"""One input of the model, and its explanation for a reviewer."""

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
class FormattedValue:
    """A value in a template. After a semicolon its format has words for one and for other numbers, which follow the
    number, or replace it after a question mark: {value:.0f;day|days} gives `1 day`, {value:.0f;?is|are} gives `is`.
    """

    value: str | float

    def __format__(self, spec: str) -> str:
        """Return the value, with its word."""
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

    `sentence` is a template over the fields, `value`, and `text`, the first field unchanged (for extras, whose names
    are not allowed in templates); or one template for each value, for flags and names. See `FormattedValue` for words
    by number.
    """

    name: str
    group: FeatureGroup
    operation: Operation
    sentence: Sentence

    def explain(self, value: float, fields: Fields) -> str:
        """Return the sentence for an order, also for an unknown feature."""
        if math.isnan(value):
            return f"{', '.join(self.operation.inputs)} unknown"
        template = self.sentence if isinstance(self.sentence, str) else self.sentence.get(value)
        if template is None:
            return f"{self.name} is {value:g}"
        # Format only what the template uses: a time, for example, costs as much as the rest of the sentence.
        values: dict[str, FormattedValue] = {}
        for name in _template_fields(template):
            if name == "value":
                values[name] = FormattedValue(value + 0.0)  # not -0: see `format_field`
            else:
                values[name] = FormattedValue(
                    format_field(self.operation.inputs[0] if name == "text" else name, fields)
                )
        return template.format_map(values)

    @property
    def sentence_fields(self) -> tuple[str, ...] | None:
        """Fields that determine value and sentence, as a cache key; None if one is a time, which never repeats."""
        templates = [self.sentence] if isinstance(self.sentence, str) else self.sentence.values()
        named = {name for template in templates for name in _template_fields(template)} & FIELDS.keys()
        names = tuple(sorted(named | set(self.operation.inputs)))
        return None if any(name in FIELDS and FIELDS[name].kind == "time" for name in names) else names


@cache
def _template_fields(template: str) -> tuple[str, ...]:
    """Return the names of the fields in a template."""
    return tuple({name for _, name, _, _ in Formatter().parse(template) if name})


@cache
def _shorts(name: str) -> dict[int, str]:
    """Return a field's short enum names by number."""
    return {number: short for short, number in FIELDS[name].numbers.items()}


def format_field(name: str, fields: Fields) -> str:
    """Format a field's value for a reviewer; "unknown" if it is absent.

    Equal values are formatted equally, -0.0 as 0.0, since sentences are cached by value.
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
