"""`vouch history`: the past of orders for a table; past orders for the agent's memory, and what it has seen."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from agent_server.history_store.exporting import exported
from agent_server.history_store.importing import Importing, known_since
from agent_server.ledger import LedgerError, open_engine, reading
from agent_server.settings import AgentSettings
from contract.fields import FIELDS
from contract.schema import TYPES
from contract.tables import TableError
from contract.writing import TableWriter
from ml_server.data.mapping import MappingError, Report
from runtime.process.commands import command
from runtime.process.files import OutputError, atomic_write
from runtime.process.terminal import plain
from stack.history_table import LEDGER_TYPES, compute, read_pieces

_TOLD_ROWS = 100_000


def parser() -> argparse.ArgumentParser:
    """The actions and their options."""
    result = argparse.ArgumentParser(prog="vouch history", description="What is remembered of the past.")
    actions = result.add_subparsers(dest="action", required=True)
    computed = actions.add_parser("compute", help="write a table with the columns that memory would have filled in")
    computed.add_argument("file", type=Path, help="orders, CSV or Parquet; or an export of a ledger's memory")
    computed.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    imported = actions.add_parser(
        "import", help="let the agent's memory know of past orders; again, it changes nothing"
    )
    imported.add_argument("file", type=Path, help="orders, CSV or Parquet; the file holds all from its first one on")
    for action in (computed, imported):
        action.add_argument("--mapping", type=Path, help="YAML that maps foreign columns")
    export = actions.add_parser("export", help="every decision as memory saw it, as a table that compute takes")
    export.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    for action in (imported, export):
        action.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    return result


@command("vouch history", TableError, MappingError, OutputError, LedgerError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 2 it could not run."""
    options = parser().parse_args(arguments)
    report = Report()
    if options.action == "compute":
        compute(options.file, options.output, options.mapping, report)
    elif options.action == "import":
        _import(options.file, options.mapping, report, _ledger(options.ledger))
    else:
        _export(options.output, _ledger(options.ledger))
    for line in report.lines:
        print(plain(line))
    return 0


def _ledger(url: str | None) -> str:
    return AgentSettings.read(**({"ledger_url": url} if url else {})).ledger_url


def _import(path: Path, mapping: Path | None, report: Report, url: str) -> None:
    engine = open_engine(url)
    importing, told = Importing(engine), 0
    try:
        for table in read_pieces(path, mapping, report, narrow=False)():
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
    if importing.too_old:
        print(f"{importing.too_old:,} orders are older than what memory has folded into totals: they were left out")
    if importing.erased:
        print(f"{importing.erased:,} orders are of accounts that were erased meanwhile: they were left out")
    print(
        f"{importing.rows:,} orders: {importing.new:,} new to memory, which knows all since {since:%Y-%m-%d %H:%M:%S}"
    )


def _export(output: Path, url: str) -> None:
    types = {name: TYPES[name] for name in FIELDS} | LEDGER_TYPES
    schema = pa.schema(list(types.items()))
    rows = 0
    with (
        reading(url) as connection,
        atomic_write(output) as unfinished,
        TableWriter(unfinished, output) as writer,
    ):
        for piece in exported(connection):
            writer.write(pa.Table.from_pylist(piece, schema))
            rows += len(piece)
        if not rows:
            raise OutputError("memory has seen no order yet: there is nothing to export")
    print(f"{rows:,} decisions and attempts")
