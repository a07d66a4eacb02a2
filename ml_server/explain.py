"""From a booster's contributions to reasons that a reviewer understands."""

from collections.abc import Iterable, Sequence

from generated.vouch.v1.scoring_service_pb2 import Explanation, GroupContribution, Reason
from ml_server.features import Feature, show
from ml_server.inputs import Fields

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
    order = sorted(range(len(features)), key=lambda place: -abs(contributions[place]))
    told, groups = 0, set()
    for place in order:
        feature = features[place]
        known = [name for name in feature.operation.inputs if name in fields]
        if abs(contributions[place]) < _NOTHING:
            return
        unknown = not known or values[place] != values[place]
        if unknown or (told >= TOP and feature.group in groups):
            continue
        told += 1
        groups.add(feature.group)
        field = known[0]
        yield Reason(
            feature=feature.name,
            field=field,
            value=show(field, fields),
            contribution=contributions[place],
            group=feature.group,
            sentence=feature.explain(values[place], fields),
        )
