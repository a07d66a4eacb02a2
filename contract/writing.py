"""Writer for tables of orders, piece by piece."""

from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from contract.tables import TableError

SUFFIXES = (".csv", ".parquet")


class TableWriter:
    """Writer of a CSV or Parquet file. The first piece determines the columns; without a piece no file is created."""

    def __init__(self, path: Path, name: Path) -> None:
        """Write to `path`; the ending of `name`, the final file, selects the format. Raises TableError."""
        if name.suffix not in SUFFIXES:
            raise TableError(f"{name}: the name must end in .csv or .parquet")
        self._path, self._format, self.rows = path, name.suffix, 0
        self._open: pq.ParquetWriter | pa_csv.CSVWriter | None = None

    def __enter__(self) -> Self:
        """Return the writer; nothing is written yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()

    def write(self, piece: pa.Table) -> None:
        """Append some rows."""
        if self._open is None:
            texts = [field.name for field in piece.schema if pa.types.is_string(field.type)]
            self._open = (
                pq.ParquetWriter(self._path, piece.schema, use_dictionary=texts)  # a dictionary does not shorten counts
                if self._format == ".parquet"
                else pa_csv.CSVWriter(str(self._path), piece.schema)
            )
        self._open.write_table(piece)
        self.rows += piece.num_rows
