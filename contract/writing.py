"""Tables of orders as files, written in pieces."""

from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from contract.tables import TableError

SUFFIXES = (".csv", ".parquet")


class TableWriter:
    """A file in CSV or Parquet; its columns are those of the first piece, and without a piece there is no file."""

    def __init__(self, path: Path, name: Path) -> None:
        """Write to `path` what becomes the file `name`, whose ending chooses the format. Raises TableError for any other."""
        if name.suffix not in SUFFIXES:
            raise TableError(f"{name}: the name must end in .csv or .parquet")
        self._path, self._format, self.rows = path, name.suffix, 0
        self._open: pq.ParquetWriter | pa_csv.CSVWriter | None = None

    def __enter__(self) -> Self:
        """Nothing is written yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()

    def write(self, piece: pa.Table) -> None:
        """Write some rows."""
        if self._open is None:
            texts = [field.name for field in piece.schema if pa.types.is_string(field.type)]
            self._open = (
                pq.ParquetWriter(self._path, piece.schema, use_dictionary=texts)  # counts are as short without one
                if self._format == ".parquet"
                else pa_csv.CSVWriter(str(self._path), piece.schema)
            )
        self._open.write_table(piece)
        self.rows += piece.num_rows
