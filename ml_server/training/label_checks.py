"""Warnings about labels that need a look before a model is trained on them."""

import pyarrow as pa

from ml_server.data.label_leaks import leak_warning
from ml_server.features.feature_set import Extra
from ml_server.training.labels import abuse_of, mostly_abuse, rate_jump


def label_warnings(table: pa.Table, extra: Extra) -> list[str]:
    """Return warnings about the labels of a table ordered by time: new rows, most rows, columns that tell the label."""
    is_abuse = abuse_of(table)
    warnings = [warning for warning in (mostly_abuse(table), rate_jump(table)) if warning]
    present = [name for name in extra.names if name in table.column_names]
    leaks = (leak_warning(name, table.column(name).to_pandas(), is_abuse) for name in present)
    return warnings + [f"warning: {leak}" for leak in leaks if leak]
