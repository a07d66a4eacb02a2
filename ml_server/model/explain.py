"""From a model's contributions to reasons that a reviewer understands."""

import struct
from collections.abc import Iterator, Sequence
from math import isnan

from generated.vouch.v1.scoring_service_pb2 import Explanation, GroupContribution, Reason
from ml_server.features.feature import Feature, show
from ml_server.features.sources import Fields

TOP = 8
_NOTHING = 1e-9
_DOUBLE = 8


class Explainer:
    """Explains the scores of a model over some features. What is the same for all orders is made once."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features
        self._groups = list(dict.fromkeys(feature.group for feature in features))
        self._group_of = [self._groups.index(feature.group) for feature in features]
        # An explanation is a hundred numbers after names that never change: packed as the bytes of the message, it costs a
        # fifth of setting them one by one. Every piece ends with its number.
        pieces = [
            Explanation(base_value=1.0),
            Explanation(raw_score=1.0),
            *(Explanation(groups=[GroupContribution(group=group, contribution=1.0)]) for group in self._groups),
            *(Explanation(contributions={feature.name: 1.0}) for feature in features),
        ]
        heads = [piece.SerializeToString()[:-_DOUBLE] for piece in pieces]
        self._packed = struct.Struct("<" + "".join(f"{len(head)}sd" for head in heads))
        self._parts: list[bytes | float] = [part for head in heads for part in (head, 0.0)]

    def explain(self, contributions: Sequence[float]) -> Explanation:
        """The whole account. `contributions` are those of all features, then the base value."""
        groups = [0.0] * len(self._groups)
        for group, value in zip(self._group_of, contributions, strict=False):
            groups[group] += value
        base = contributions[len(self._features)]
        parts = self._parts.copy()
        parts[1::2] = [base, sum(contributions), *groups, *contributions[: len(self._features)]]
        return Explanation.FromString(self._packed.pack(*parts))

    def reasons(self, values: Sequence[float], contributions: Sequence[float], fields: Fields) -> Iterator[Reason]:
        """The TOP features that moved the score most, and the first of each group, strongest first, each with a sentence.

        Unknown fields are no reasons.
        """
        features = self._features
        sizes = [abs(value) for value in contributions[: len(features)]]
        told, groups = 0, set[int]()
        for at in sorted(range(len(features)), key=sizes.__getitem__, reverse=True):
            if sizes[at] < _NOTHING or (told >= TOP and len(groups) == len(self._groups)):
                return
            feature, value = features[at], values[at]
            if isnan(value) or (told >= TOP and feature.group in groups):
                continue
            field = next((name for name in feature.operation.inputs if name in fields), None)
            if field is None:
                continue
            told += 1
            groups.add(feature.group)
            yield Reason(
                feature=feature.name,
                field=field,
                value=show(field, fields),
                contribution=contributions[at],
                group=feature.group,
                sentence=feature.explain(value, fields),
            )
