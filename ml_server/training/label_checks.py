"""Warnings about labels that a model should not be trained on without a second look."""

import pyarrow as pa

from ml_server.data.label_leaks import leak_warning
from ml_server.features.feature_set import Extra
from ml_server.training.labels import abuse_of, rate_jump

_MOST = 0.5


def label_warnings(table: pa.Table, extra: Extra) -> list[str]:
    """Return warnings about the labels of a table ordered by time: new rows, most rows, columns that tell the label."""
    is_abuse = abuse_of(table)
    warnings = [warning] if (warning := rate_jump(table)) else []
    if (share := float(is_abuse.mean())) > _MOST:
        warnings.append(f"warning: {share:.0%} of the rows are abuse; check which value of the label means abuse")
    present = [name for name in extra.names if name in table.column_names]
    leaks = (leak_warning(name, table.column(name).to_pandas(), is_abuse) for name in present)
    return warnings + [f"warning: {leak}" for leak in leaks if leak]
