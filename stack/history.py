"""`vouch history`: compute history columns of a table, import past orders into the agent's history, export it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from agent_server.history_store.exporting import export_rows
from agent_server.history_store.importing import HistoryImport, known_since
from agent_server.ledger import LedgerError, open_engine, reading
from agent_server.settings import AgentSettings
from contract.fields import FIELDS
from contract.schema import TYPES
from contract.tables import TableError
from contract.writing import TableWriter
from ml_server.data.datasets import read_mapped
from ml_server.data.mapping import MappingError, Report, read_mapping
from runtime.process.command_line import CommandParser
from runtime.process.commands import command
from runtime.process.files import OutputError, atomic_write
from runtime.process.terminal import escape_unprintable
from stack.history_table import LEDGER_TYPES, compute, read_pieces

_PROGRESS_ROWS = 100_000


def parser() -> CommandParser:
    """Return the parser of the actions and their options."""
    result = CommandParser(
        prog="vouch history",
        description="Compute, import and export history.",
        examples=(
            "vouch history compute orders.csv --output orders_with_history.csv",
            "vouch history import orders.csv",
            "vouch history export --output history.parquet",
        ),
    )
    actions = result.add_subparsers(dest="action", required=True)
    computed = actions.add_parser(
        "compute",
        help="write a table with the columns that the agent would have completed",
        examples=("vouch history compute orders.csv --output orders_with_history.csv",),
    )
    computed.add_argument(
        "file",
        type=Path,
        help="orders: CSV, Parquet, .xlsx or .zip, or a folder of these; or an export of the agent's history",
    )
    computed.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    imported = actions.add_parser(
        "import",
        help="import past orders into the agent's history; again, corrected orders replace what was imported",
        examples=("vouch history import orders.csv", "vouch history import shop.csv --mapping mapping.yaml"),
    )
    imported.add_argument(
        "file",
        type=Path,
        help="orders: CSV, Parquet, .xlsx or .zip, or a folder of these; complete from the first order on",
    )
    for action in (computed, imported):
        action.add_argument("--mapping", type=Path, help="YAML mapping of column names")
    export = actions.add_parser(
        "export",
        help="export all recorded decisions as a table for compute",
        examples=("vouch history export --output history.parquet",),
    )
    export.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    for action in (imported, export):
        action.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    return result


@command("vouch history", TableError, MappingError, OutputError, LedgerError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    report = Report()
    if options.action == "compute":
        compute(options.file, options.output, options.mapping, report)
    elif options.action == "import":
        _import(options.file, options.mapping, report, _ledger(options.ledger))
    else:
        _export(options.output, _ledger(options.ledger))
    for line in report.lines:
        print(escape_unprintable(line))
    return 0


def _ledger(url: str | None) -> str:
    return AgentSettings.read(**({"ledger_url": url} if url else {})).ledger_url


def _import(path: Path, mapping: Path | None, report: Report, url: str) -> None:
    engine = open_engine(url)
    importing, reported = HistoryImport(engine), 0
    try:
        for table in _pieces(path, mapping, report):
            importing.add(table)
            if importing.rows - reported >= _PROGRESS_ROWS:
                reported = importing.rows
                print(f"{reported:,} orders", flush=True)
        importing.finish()
        since = known_since(engine)
    finally:
        engine.dispose()
    if not importing.rows:
        raise TableError(f"{path}: the file has no rows")
    if importing.too_old:
        print(f"{importing.too_old:,} orders skipped: older than the compacted history")
    if importing.erased:
        print(f"{importing.erased:,} orders skipped: their accounts were erased")
    replaced = f", {importing.replaced:,} replaced" if importing.replaced else ""
    print(
        f"{importing.rows:,} orders: {importing.new:,} new{replaced}; history is complete since {since:%Y-%m-%d %H:%M:%S}"
    )


def _pieces(path: Path, mapping: Path | None, report: Report) -> Iterator[pa.Table]:
    """Yield the orders of a file; those that have no id are without that column. Raises TableError or MappingError."""
    known = read_mapping(mapping).without_label() if mapping is not None else None
    if known is None:
        yield from read_pieces(path, None, report, narrow=False)()
        return
    if "user_id" not in known.columns:
        raise MappingError(f"{mapping}: user_id must be mapped; history counts the orders of a user")
    for table in read_mapped(path, known, report):
        yield table if "transaction_id" in known.columns else table.drop_columns(["transaction_id"])


def _export(output: Path, url: str) -> None:
    types = {name: TYPES[name] for name in FIELDS} | LEDGER_TYPES
    schema = pa.schema(list(types.items()))
    rows = 0
    with (
        reading(url) as connection,
        atomic_write(output) as unfinished,
        TableWriter(unfinished, output) as writer,
    ):
        for piece in export_rows(connection):
            writer.write(pa.Table.from_pylist(piece, schema))
            rows += len(piece)
        if not rows:
            raise OutputError("history is empty; nothing to export")
    print(f"{rows:,} decisions and attempts")
