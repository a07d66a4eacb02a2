"""One input of the model, and how it tells itself to a reviewer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.fields import FIELDS
from generated.vouch.v1.scoring_service_pb2 import FeatureGroup
from ml_server.features.operations import Operation
from ml_server.features.sources import Fields

Sentence = str | Mapping[float, str]


@dataclass(frozen=True)
class Feature:
    """One input of the model.

    `sentence` is a template over the fields, `value`, and `text`, the first field as it stands (names of extras are no names in
    a template); or one template for each value, for flags and names.
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
        shown = {name: show(name, fields) for name in self.operation.inputs}
        return template.format_map({**shown, "value": value, "text": show(self.operation.inputs[0], fields)})


def show(name: str, fields: Fields) -> str:
    """A field's value as a reviewer reads it; "unknown" where it is absent."""
    value: Any = fields.get(name)
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    kind = FIELDS[name].kind if name in FIELDS else ""
    if kind == "enum":
        return next((short for short, number in FIELDS[name].numbers.items() if number == value), str(value))
    if kind == "time":
        return str(value.ToJsonString())
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value)
