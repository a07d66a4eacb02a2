"""A sample of a file in constant memory: rows at a regular step, by column."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

MAX_ROWS = 200_000
_EXCLUDED = ("transaction_id", "user_id", "device_id")  # unique values, from which a model learns nothing


@dataclass
class Sample:
    """Rows sampled at a regular step; `columns` holds the pieces of each column in order."""

    rows: int = 0
    columns: dict[str, list[pa.Array]] = field(default_factory=dict)

    @staticmethod
    def step(rows: int) -> int:
        """Return the step that samples at most MAX_ROWS from a file with this number of rows."""
        return max(1, -(-rows // MAX_ROWS))

    def add(self, batch: pa.RecordBatch, every: int) -> None:
        """Add every `every`-th row of a batch."""
        taken = np.arange(0, batch.num_rows, every)
        self.rows += len(taken)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name not in _EXCLUDED:
                if every == 1:
                    piece = column
                else:
                    piece = column.take(pa.Array.from_buffers(pa.int64(), len(taken), [None, pa.py_buffer(taken)]))
                self.columns.setdefault(name, []).append(piece)

    def merge(self, later: "Sample") -> None:
        """Append the rows of a later sample."""
        self.rows += later.rows
        for name, pieces in later.columns.items():
            self.columns.setdefault(name, []).extend(pieces)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column of the sample."""
        return pa.chunked_array(self.columns[name])
