"""From a booster's contributions to reasons that a reviewer understands."""

from collections.abc import Iterable, Sequence

from generated.vouch.v1.scoring_service_pb2 import Explanation, GroupContribution, Reason
from ml_server.features.feature import Feature, show
from ml_server.features.sources import Fields

TOP = 8
_NOTHING = 1e-9


def explanation(features: Sequence[Feature], contributions: Sequence[float]) -> Explanation:
    """The whole account: contributions of all features, then the base value, as LightGBM orders them."""
    groups = {feature.group: 0.0 for feature in features}
    for feature, value in zip(features, contributions, strict=False):
        groups[feature.group] += value
    return Explanation(
        groups=[GroupContribution(group=group, contribution=value) for group, value in groups.items()],
        base_value=contributions[len(features)],
        raw_score=sum(contributions),
        contributions={feature.name: value for feature, value in zip(features, contributions, strict=False)},
    )


def reasons(
    features: Sequence[Feature], values: Sequence[float], contributions: Sequence[float], fields: Fields
) -> Iterable[Reason]:
    """The TOP features that moved the score most, and the first of each group, strongest first, each with a sentence.

    Unknown fields are no reasons.
    """
    sizes = [abs(value) for value in contributions[: len(features)]]
    told, groups, everywhere = 0, set[int](), {feature.group for feature in features}
    for place in sorted(range(len(features)), key=sizes.__getitem__, reverse=True):
        feature = features[place]
        if sizes[place] < _NOTHING or (told >= TOP and groups == everywhere):
            return
        if values[place] != values[place] or (told >= TOP and feature.group in groups):
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
            contribution=contributions[place],
            group=feature.group,
            sentence=feature.explain(values[place], fields),
        )
