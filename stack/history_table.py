"""`vouch history compute`: history columns of a table in time order, or of an export in ledger order."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from contract.schema import TYPES
from contract.tables import TableError, column_names, read_batches, read_table
from contract.writing import TableWriter
from history.definitions import NAMES
from history.ledger_order import COLUMNS, replay_in_ledger_order, step_of
from history.replay import Value
from history.table import READ, HistoryBuilder, fill_missing
from ml_server.data.datasets import add_notes, read_mapped
from ml_server.data.mapping import Report, read_mapping
from runtime.process.files import atomic_write

LEDGER_TYPES = {name: pa.int64() for name in COLUMNS} | {"denied": pa.bool_()}
"""Columns of an export in addition to the fields of orders; see history/ledger_order.py."""
_OF_OLDER_VERSIONS = {"memory_replaces": pa.string()}


def compute(path: Path, output: Path, mapping: Path | None, report: Report) -> None:
    """Write the file with missing history columns computed. Raise TableError or MappingError."""
    if mapping is None and "memory_number" in column_names(path):
        _compute_in_ledger_order(path, output)
        return
    past, rows = HistoryBuilder(), 0
    for table in read_pieces(path, mapping, report, narrow=True)():
        for batch in table.to_batches():
            past.add(batch)
            rows += batch.num_rows
    if not rows:
        raise TableError(f"{path}: the file has no rows")
    history, first = past.history(), 0
    with atomic_write(output) as partial, TableWriter(partial, output) as writer:
        for table in read_pieces(path, mapping, Report(), narrow=False)():
            writer.write(history.fill(table, first))
            first += table.num_rows
    print(f"{rows:,} orders; share with a known value:")
    for name in NAMES:
        print(f"  {name:34} {history.known_share(name):6.1%}")


def _compute_in_ledger_order(path: Path, output: Path) -> None:
    types = TYPES | LEDGER_TYPES | _OF_OLDER_VERSIONS
    table = read_table(path, required=("transaction_id", "timestamp", "user_id", *COLUMNS), types=types)
    read = (*READ, "transaction_id", *COLUMNS, *_OF_OLDER_VERSIONS)
    needed = [name for name in read if name in table.column_names]
    try:
        found = replay_in_ledger_order([step_of(row) for row in table.select(needed).to_pylist()])
    except (KeyError, TypeError, ValueError) as error:  # missing or invalid numbers, or numbers of missing attempts
        raise TableError(f"{path}: the history numbers are inconsistent; the file is not a complete export") from error
    with atomic_write(output) as partial, TableWriter(partial, output) as writer:
        writer.write(fill_missing(table, {name: _column(found, name) for name in NAMES}))
    print(f"{table.num_rows:,} decisions in ledger order; share with a known value:")
    for name in NAMES:
        print(f"  {name:34} {sum(name in values for values in found) / len(found):6.1%}")


def _column(found: Sequence[dict[str, Value]], name: str) -> pa.Array:
    return pa.array([values.get(name) for values in found], TYPES[name])


def read_pieces(path: Path, mapping: Path | None, report: Report, *, narrow: bool) -> Callable[[], Iterator[pa.Table]]:
    """Return a reader of the file in pieces: only history inputs (`narrow`), or all columns, unknown ones as text."""
    if mapping is not None:
        known = read_mapping(mapping)
        return lambda: read_mapped(path, known, report)
    add_notes(path, report)
    types = {name: kind for name, kind in TYPES.items() if name in READ} if narrow else _all_types(path)
    required = ("timestamp", "user_id")
    return lambda: (pa.Table.from_batches([batch]) for batch in read_batches(path, required=required, types=types))


def _all_types(path: Path) -> dict[str, pa.DataType]:
    return {name: TYPES.get(name, pa.string()) for name in column_names(path)}
