"""Split of a table by time."""

import pyarrow as pa

from ml_server.training.labels import TrainingError, abuse_of

MIN_ROWS = 200
HELD_OUT = 0.15
"""Share of the rows, the last in time, on which metrics are measured."""


def split_in_time(table: pa.Table, held_out: float = HELD_OUT) -> tuple[pa.Table, pa.Table]:
    """Split a table ordered by time into a part to fit and a part to measure. Raises TrainingError."""
    rows = table.num_rows
    if rows < MIN_ROWS:
        raise TrainingError(f"{rows} rows are too few to train on; at least {MIN_ROWS} are needed")
    first = int(rows * (1 - held_out))
    parts = table.slice(0, first), table.slice(first)
    for name, part in zip(("first", "last"), parts, strict=True):
        abuse = abuse_of(part)
        if not 0 < abuse.sum() < len(abuse):
            raise TrainingError(f"the {name} part in time contains only {'abuse' if abuse.all() else 'honest orders'}")
    return parts
