"""`vouch history`: the past of orders for a table, and past orders for the agent's memory."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from agent_server.ledger import LedgerError, open_engine
from agent_server.memory.importing import Importing, known_since
from agent_server.settings import AgentSettings
from contract.schema import TYPES
from contract.tables import TableError, column_names, read_batches
from history.definitions import NAMES
from history.table import READ, Past
from ml_server.data.datasets import read_mapped
from ml_server.data.mapping import MappingError, Report, read_mapping
from runtime.process.commands import command
from runtime.process.files import OutputError, complete_or_nothing
from runtime.process.terminal import plain

_TOLD_ROWS = 100_000


def parser() -> argparse.ArgumentParser:
    """The actions and their options."""
    result = argparse.ArgumentParser(prog="vouch history", description="What is remembered of the past.")
    actions = result.add_subparsers(dest="action", required=True)
    computed = actions.add_parser("compute", help="write a table with the columns that memory would have filled in")
    computed.add_argument("file", type=Path, help="orders, CSV or Parquet")
    computed.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    imported = actions.add_parser(
        "import", help="let the agent's memory know of past orders; again, it changes nothing"
    )
    imported.add_argument("file", type=Path, help="orders, CSV or Parquet; the file holds all from its first one on")
    for action in (computed, imported):
        action.add_argument("--mapping", type=Path, help="YAML that maps foreign columns")
    return result


@command("vouch history", TableError, MappingError, OutputError, LedgerError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 2 it could not run."""
    options = parser().parse_args(arguments)
    report = Report()
    if options.action == "compute":
        _compute(options.file, options.output, options.mapping, report)
    else:
        _import(options.file, options.mapping, report)
    for line in report.lines:
        print(plain(line))
    return 0


def _compute(path: Path, output: Path, mapping: Path | None, report: Report) -> None:
    past, rows = Past(), 0
    for table in _read(path, mapping, report, narrow=True)():
        for batch in table.to_batches():
            past.add(batch)
            rows += batch.num_rows
    if not rows:
        raise TableError(f"{path}: the file has no rows")
    history, first = past.history(), 0
    writer: pq.ParquetWriter | pa_csv.CSVWriter | None = None
    with complete_or_nothing(output) as partial:
        for table in _read(path, mapping, Report(), narrow=False)():
            filled = history.fill(table, first)
            first += table.num_rows
            if writer is None:
                writer = _writer(partial, output.suffix, filled.schema)
            writer.write_table(filled)
        if writer is not None:
            writer.close()
    print(f"{rows:,} orders; known of them:")
    for name in NAMES:
        print(f"  {name:34} {history.known(name):6.1%}")


def _writer(path: Path, suffix: str, schema: pa.Schema) -> pq.ParquetWriter | pa_csv.CSVWriter:
    if suffix == ".parquet":
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        return pq.ParquetWriter(path, schema, use_dictionary=texts)  # counts are as short without one
    if suffix == ".csv":
        return pa_csv.CSVWriter(str(path), schema)
    raise OutputError(f"the output must end in .csv or .parquet, not {suffix or 'in nothing'}")


def _read(path: Path, mapping: Path | None, report: Report, *, narrow: bool) -> Callable[[], Iterator[pa.Table]]:
    """The file in pieces: only what history looks at, or whole, columns of others as texts."""
    if mapping is not None:
        known = read_mapping(mapping)
        return lambda: read_mapped(path, known, report)
    types = {name: kind for name, kind in TYPES.items() if name in READ} if narrow else _all_types(path)
    required = ("timestamp", "user_id")
    return lambda: (pa.Table.from_batches([batch]) for batch in read_batches(path, required=required, types=types))


def _all_types(path: Path) -> dict[str, pa.DataType]:
    if not path.is_file():
        raise TableError(f"{path}: there is no such file")
    return {name: TYPES.get(name, pa.string()) for name in column_names(path)}


def _import(path: Path, mapping: Path | None, report: Report) -> None:
    engine = open_engine(AgentSettings.read().ledger_url)
    importing, told = Importing(engine), 0
    try:
        for table in _read(path, mapping, report, narrow=False)():
            importing.add(table)
            if importing.rows - told >= _TOLD_ROWS:
                told = importing.rows
                print(f"{told:,} orders", flush=True)
        importing.finish()
        since = known_since(engine)
    finally:
        engine.dispose()
    if not importing.rows:
        raise TableError(f"{path}: the file has no rows")
    print(
        f"{importing.rows:,} orders: {importing.new:,} new to memory, which knows all since {since:%Y-%m-%d %H:%M:%S}"
    )
