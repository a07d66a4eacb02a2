"""Whether a file has what a model reads: told before anything is scored, not by scores that mean nothing."""

from collections.abc import Collection, Mapping

from contract.tables import TableError
from ml_server.features.feature_set import Extra, FeatureSet

ALMOST_NONE = 0.1
"""Share of what moves a model's scores, below which a file is taken to be of another shop, or its columns to be unmapped."""
_MOST_NAMED = 8


def named(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    told = ", ".join(sorted(names)[:_MOST_NAMED])
    return told if len(names) <= _MOST_NAMED else f"{told} and {len(names) - _MOST_NAMED:,} more"


def check_mapping(model: Extra, mapping: Extra) -> None:
    """Raise TableError where a mapping lacks an extra column of the model, or has it as the other type."""
    for kind, read, given in (
        ("numeric", model.numeric, mapping.numeric),
        ("categorical", model.categorical, mapping.categorical),
    ):
        if missing := set(read) - set(given):
            raise TableError(
                f"the model reads the {kind} extra {named(missing)}: add it to extra.{kind} of the mapping"
            )


def check_columns(features: FeatureSet, importance: Mapping[str, float], columns: Collection[str]) -> list[str]:
    """Lines about extras that are not there. Raises TableError where almost nothing that moves the scores is there."""
    weights = {
        feature.operation.inputs: importance.get(feature.name, 0.0 if importance else 1.0)
        for feature in features.features
        if set(feature.operation.inputs) != {"timestamp"}
    }
    covered = sum(weight for inputs, weight in weights.items() if set(inputs) & set(columns) - {"timestamp"})
    total = sum(weights.values())
    if total > 0 and covered < ALMOST_NONE * total:
        wanted = sorted(weights, key=lambda inputs: -weights[inputs])[:_MOST_NAMED]
        names = ", ".join(dict.fromkeys(name for inputs in wanted for name in inputs if name != "timestamp"))
        raise TableError(
            f"the columns tell the model almost nothing ({covered / total:.0%} of what moves its scores): "
            f"it reads first of all {names}; name or map them so"
        )
    missing = [name for name in features.extra.names if name not in columns]
    return [f"the model reads {named(missing)}, which the file does not have: unknown"] if missing else []
