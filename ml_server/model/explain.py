"""Explanations: from a model's contributions to reasons for a reviewer."""

import struct
from collections.abc import Sequence
from math import isnan
from typing import Any

from generated.vouch.v1.scoring_service_pb2 import Explanation, GroupContribution, Reason
from ml_server.features.feature import Feature, format_field
from ml_server.features.sources import Fields

TOP = 8
_NOTHING = 1e-9
_DOUBLE = 8
_CACHE_SIZE = 8192  # cached reasons


class Explainer:
    """Explains the scores of a model. Everything that is the same for all orders is computed once."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features
        self._groups = list(dict.fromkeys(feature.group for feature in features))
        self._sentence_fields = [feature.sentence_fields for feature in features]
        self._cache: dict[tuple[Any, ...], Reason | None] = {}
        self._group_of = [self._groups.index(feature.group) for feature in features]
        # An explanation consists of constant names, each followed by a number. Packing it as the bytes of the message
        # takes a fifth of the time of setting the numbers one by one. Every piece ends with its number.
        totals = [
            Explanation(base_value=1.0),
            Explanation(raw_score=1.0),
            *(Explanation(groups=[GroupContribution(group=group, contribution=1.0)]) for group in self._groups),
        ]
        self._totals = _Pieces(totals)
        self._whole = _Pieces([*totals, *(Explanation(contributions={feature.name: 1.0}) for feature in features)])

    def explain(self, contributions: Sequence[float], full: bool) -> Explanation:
        """Return the explanation. `contributions` has all features, then the base value; `full` lists each feature."""
        groups = [0.0] * len(self._groups)
        for group, value in zip(self._group_of, contributions, strict=False):
            groups[group] += value
        totals = [contributions[len(self._features)], sum(contributions), *groups]
        if full:
            return self._whole.to_message([*totals, *contributions[: len(self._features)]])
        return self._totals.to_message(totals)

    def add_reasons(self, contributions: Sequence[float], fields: Fields, reasons: Any) -> None:
        """Add the TOP features with the largest contributions to `reasons`, a repeated field, and the first of each
        group.

        The strongest come first, each with a sentence. Unknown fields are skipped.
        """
        features = self._features
        sizes = [abs(value) for value in contributions[: len(features)]]
        added_count, groups = 0, set[int]()
        for number in sorted(range(len(features)), key=sizes.__getitem__, reverse=True):
            if sizes[number] < _NOTHING or (added_count >= TOP and len(groups) == len(self._groups)):
                return
            group = features[number].group
            if added_count >= TOP and group in groups:
                continue
            reason = self._reason(number, fields)
            if reason is None:
                continue
            added_count += 1
            groups.add(group)
            added = reasons.add()
            added.CopyFrom(reason)
            added.contribution = contributions[number]

    def _reason(self, number: int, fields: Fields) -> Reason | None:
        """Return the reason for a feature, without its contribution; None if it is unknown.

        Reasons are cached by their fields: orders share countries, flags and small counts, and sentences are expensive.
        """
        names = self._sentence_fields[number]
        if names is None:
            return _make_reason(self._features[number], fields)
        key = (number, *map(fields.get, names))
        try:
            return self._cache[key]
        except KeyError:
            reason = _make_reason(self._features[number], fields)
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[key] = reason
        return reason


def _make_reason(feature: Feature, fields: Fields) -> Reason | None:
    value = feature.operation.value(fields)
    if isnan(value):
        return None
    field = next((name for name in feature.operation.inputs if name in fields), None)
    if field is None:
        return None
    return Reason(
        feature=feature.name,
        field=field,
        value=format_field(field, fields),
        group=feature.group,
        sentence=feature.explain(value, fields),
    )


class _Pieces:
    """An explanation as bytes, with placeholders for its numbers."""

    def __init__(self, pieces: Sequence[Explanation]) -> None:
        heads = [piece.SerializeToString()[:-_DOUBLE] for piece in pieces]
        self._packed = struct.Struct("<" + "".join(f"{len(head)}sd" for head in heads))
        self._parts: list[bytes | float] = [part for head in heads for part in (head, 0.0)]

    def to_message(self, numbers: Sequence[float]) -> Explanation:
        parts = self._parts.copy()
        parts[1::2] = numbers
        return Explanation.FromString(self._packed.pack(*parts))
