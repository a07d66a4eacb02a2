"""From a model's contributions to reasons that a reviewer understands."""

import struct
from collections.abc import Sequence
from math import isnan
from typing import Any

from generated.vouch.v1.scoring_service_pb2 import Explanation, GroupContribution, Reason
from ml_server.features.feature import Feature, show
from ml_server.features.sources import Fields

TOP = 8
_NOTHING = 1e-9
_DOUBLE = 8
_KEPT = 8192  # reasons that are remembered


class Explainer:
    """Explains the scores of a model over some features. What is the same for all orders is made once."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features
        self._groups = list(dict.fromkeys(feature.group for feature in features))
        self._shows = [feature.shows for feature in features]
        self._remembered: dict[tuple[Any, ...], Reason | None] = {}
        self._group_of = [self._groups.index(feature.group) for feature in features]
        # An explanation is numbers after names that never change: packed as the bytes of the message, it costs a fifth of
        # setting them one by one. Every piece ends with its number.
        totals = [
            Explanation(base_value=1.0),
            Explanation(raw_score=1.0),
            *(Explanation(groups=[GroupContribution(group=group, contribution=1.0)]) for group in self._groups),
        ]
        self._totals = _Pieces(totals)
        self._whole = _Pieces([*totals, *(Explanation(contributions={feature.name: 1.0}) for feature in features)])

    def explain(self, contributions: Sequence[float], full: bool) -> Explanation:
        """The account. `contributions` are those of all features, then the base value; `full` shows each of them."""
        groups = [0.0] * len(self._groups)
        for group, value in zip(self._group_of, contributions, strict=False):
            groups[group] += value
        totals = [contributions[len(self._features)], sum(contributions), *groups]
        if full:
            return self._whole.filled([*totals, *contributions[: len(self._features)]])
        return self._totals.filled(totals)

    def add_reasons(self, contributions: Sequence[float], fields: Fields, reasons: Any) -> None:
        """Add to `reasons`, a repeated field, the TOP features that moved the score most, and the first of each group.

        Strongest first, each with a sentence. Unknown fields are no reasons.
        """
        features = self._features
        sizes = [abs(value) for value in contributions[: len(features)]]
        told, groups = 0, set[int]()
        for number in sorted(range(len(features)), key=sizes.__getitem__, reverse=True):
            if sizes[number] < _NOTHING or (told >= TOP and len(groups) == len(self._groups)):
                return
            group = features[number].group
            if told >= TOP and group in groups:
                continue
            reason = self._reason(number, fields)
            if reason is None:
                continue
            told += 1
            groups.add(group)
            added = reasons.add()
            added.CopyFrom(reason)
            added.contribution = contributions[number]

    def _reason(self, number: int, fields: Fields) -> Reason | None:
        """The reason that a feature is, without its contribution; None where it is unknown.

        Remembered by what it shows: orders share countries, flags and small counts, and a sentence is dear to make.
        """
        shows = self._shows[number]
        if shows is None:
            return _made(self._features[number], fields)
        key = (number, *map(fields.get, shows))
        try:
            return self._remembered[key]
        except KeyError:
            reason = _made(self._features[number], fields)
        if len(self._remembered) >= _KEPT:
            self._remembered.clear()
        self._remembered[key] = reason
        return reason


def _made(feature: Feature, fields: Fields) -> Reason | None:
    value = feature.operation.value(fields)
    if isnan(value):
        return None
    field = next((name for name in feature.operation.inputs if name in fields), None)
    if field is None:
        return None
    return Reason(
        feature=feature.name,
        field=field,
        value=show(field, fields),
        group=feature.group,
        sentence=feature.explain(value, fields),
    )


class _Pieces:
    """An explanation as bytes, with a place for each of its numbers."""

    def __init__(self, pieces: Sequence[Explanation]) -> None:
        heads = [piece.SerializeToString()[:-_DOUBLE] for piece in pieces]
        self._packed = struct.Struct("<" + "".join(f"{len(head)}sd" for head in heads))
        self._parts: list[bytes | float] = [part for head in heads for part in (head, 0.0)]

    def filled(self, numbers: Sequence[float]) -> Explanation:
        parts = self._parts.copy()
        parts[1::2] = numbers
        return Explanation.FromString(self._packed.pack(*parts))
