"""Suitability of a file for a model, checked before scoring, so that meaningless scores are never computed."""

from collections.abc import Collection, Mapping

from contract.tables import TableError
from ml_server.features.feature_set import Extra, FeatureSet

ALMOST_NONE = 0.1
"""Share of the model's importance that columns must cover; below it, the file is not suited, or not mapped."""
_MAX_LISTED = 8


def list_names(names: Collection[str]) -> str:
    """Format the first names of a list, and the number of further ones."""
    listed = ", ".join(sorted(names)[:_MAX_LISTED])
    return listed if len(names) <= _MAX_LISTED else f"{listed} and {len(names) - _MAX_LISTED:,} more"


def check_mapping(model: Extra, mapping: Extra) -> None:
    """Raise TableError if a mapping lacks an extra of the model, or has it as the other type."""
    for kind, read, given in (
        ("numeric", model.numeric, mapping.numeric),
        ("categorical", model.categorical, mapping.categorical),
    ):
        if missing := set(read) - set(given):
            raise TableError(
                f"the model reads the {kind} extra {list_names(missing)}; add it to extra.{kind} of the mapping"
            )


def check_columns(features: FeatureSet, importance: Mapping[str, float], columns: Collection[str]) -> list[str]:
    """Return lines about missing extras. Raises TableError if almost all important columns are missing."""
    weights = {
        feature.operation.inputs: importance.get(feature.name, 0.0 if importance else 1.0)
        for feature in features.features
        if set(feature.operation.inputs) != {"timestamp"}
    }
    covered = sum(weight for inputs, weight in weights.items() if set(inputs) & set(columns) - {"timestamp"})
    total = sum(weights.values())
    if total > 0 and covered < ALMOST_NONE * total:
        expected = sorted(weights, key=lambda inputs: -weights[inputs])[:_MAX_LISTED]
        names = ", ".join(dict.fromkeys(name for inputs in expected for name in inputs if name != "timestamp"))
        raise TableError(
            f"the columns contain almost nothing that the model reads ({covered / total:.0%} of its importance); "
            f"it mainly reads {names}; rename or map the columns"
        )
    missing = [name for name in features.extra.names if name not in columns]
    return [f"the model reads {list_names(missing)}, which the file does not have: unknown"] if missing else []
