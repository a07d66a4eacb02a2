"""A sample of a file in constant memory: every so many rows, as columns."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

MOST_ROWS = 200_000
_LEFT_OUT = ("transaction_id", "user_id", "device_id")  # they never repeat, so they tell a model nothing


@dataclass
class Sample:
    """Rows taken at even steps; `columns` holds the pieces of each column in order."""

    rows: int = 0
    columns: dict[str, list[pa.Array]] = field(default_factory=dict)

    @staticmethod
    def step(rows: int) -> int:
        """The step at which a file of so many rows gives at most MOST_ROWS."""
        return max(1, -(-rows // MOST_ROWS))

    def add(self, batch: pa.RecordBatch, every: int) -> None:
        """Take every so many rows of a batch."""
        taken = np.arange(0, batch.num_rows, every)
        self.rows += len(taken)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name not in _LEFT_OUT:
                if every == 1:
                    piece = column
                else:
                    piece = column.take(pa.Array.from_buffers(pa.int64(), len(taken), [None, pa.py_buffer(taken)]))
                self.columns.setdefault(name, []).append(piece)

    def merge(self, later: "Sample") -> None:
        """Put the rows of another sample behind these."""
        self.rows += later.rows
        for name, pieces in later.columns.items():
            self.columns.setdefault(name, []).extend(pieces)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of the sample."""
        return pa.chunked_array(self.columns[name])
