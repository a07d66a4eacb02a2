"""A table in parts of time."""

import pyarrow as pa

from ml_server.training.labels import TrainingError, abuse_of

LEAST_ROWS = 200
HELD_OUT = 0.15
"""Share of the rows, the last in time, that figures are measured on."""


def split_in_time(table: pa.Table, held_out: float = HELD_OUT) -> tuple[pa.Table, pa.Table]:
    """A table in order of time in two parts: to fit, and to measure. Raises TrainingError."""
    rows = table.num_rows
    if rows < LEAST_ROWS:
        raise TrainingError(f"{rows} rows are too few to train on: {LEAST_ROWS} are the least")
    first = int(rows * (1 - held_out))
    parts = table.slice(0, first), table.slice(first)
    for name, part in zip(("first", "last"), parts, strict=True):
        abuse = abuse_of(part)
        if not 0 < abuse.sum() < len(abuse):
            raise TrainingError(f"the {name} part in time holds only {'abuse' if abuse.all() else 'honest orders'}")
    return parts
