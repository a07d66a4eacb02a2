"""A table in parts of time."""

import pyarrow as pa

from ml_server.training.labels import TrainingError, abuse_of

LEAST_ROWS = 200

FIT, TUNE = 0.70, 0.15  # shares of the time; what is left is the held-out part


def split_in_time(table: pa.Table) -> tuple[pa.Table, pa.Table, pa.Table]:
    """A table in order of time in three parts: to fit, to stop and calibrate, to measure."""
    rows = table.num_rows
    if rows < LEAST_ROWS:
        raise TrainingError(f"{rows} rows are too few to train on: {LEAST_ROWS} are the least")
    first, second = int(rows * FIT), int(rows * (FIT + TUNE))
    parts = (table.slice(0, first), table.slice(first, second - first), table.slice(second))
    for name, part in zip(("first", "middle", "last"), parts, strict=True):
        abuse = abuse_of(part)
        if not 0 < abuse.sum() < len(abuse):
            raise TrainingError(f"the {name} part in time holds only {'abuse' if abuse.all() else 'honest orders'}")
    return parts
