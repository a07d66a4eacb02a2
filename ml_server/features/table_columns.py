"""A table's columns as a ColumnSource. A module of its own, so that serving does not import Arrow."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.extras import extra_text
from contract.fields import FIELDS
from contract.texts import NORMALISED
from ml_server.features.sources import NAN, Numbers, Text, normalise_column


class TableColumns:
    """A table's columns for features: float64 with NaN for unknown, and Text. Absent columns are unknown."""

    def __init__(self, table: pa.Table | pa.RecordBatch) -> None:
        self.rows: int = table.num_rows
        self._table = table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
        self._numbers: dict[str, Numbers] = {}
        self._texts: dict[str, Text] = {}

    def number(self, name: str) -> Numbers:
        """Return numbers, flags (0 and 1), names (their enum numbers) and times (seconds since 1970), shape (rows,)."""
        if name not in self._numbers:
            self._numbers[name] = self._read_number(name)
        return self._numbers[name]

    def _read_number(self, name: str) -> Numbers:
        if name not in self._table.column_names:
            return np.full(self.rows, NAN)
        column = self._table.column(name).combine_chunks()
        kind = FIELDS[name].kind if name in FIELDS else "number"
        if kind == "enum":
            numbers = FIELDS[name].numbers
            column = pc.index_in(column, value_set=pa.array(numbers))
            column = pc.take(pa.array(numbers.values()), column)
        elif kind == "time":
            column = column.cast(pa.int64())
        elif kind == "flag":
            column = column.cast(pa.uint8())
        result: Numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        # Requests cannot contain extras that are not finite, so in a table they are unknown as well.
        return result if name in FIELDS else np.where(np.isinf(result), NAN, result)

    def text(self, name: str) -> Text:
        """Return a column of text, normalised."""
        if name not in self._texts:
            if name not in self._table.column_names:
                self._texts[name] = Text(np.full(self.rows, -1), [])
            else:
                coded = self._table.column(name).combine_chunks().dictionary_encode()
                codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
                text = Text(codes, coded.dictionary.to_pylist())
                normalise = NORMALISED.get(name) if name in FIELDS else extra_text
                self._texts[name] = normalise_column(text, normalise) if normalise else text
        return self._texts[name]
