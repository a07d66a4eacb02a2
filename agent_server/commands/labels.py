"""`vouch labels`: export labelled orders from the ledger as a dataset for `vouch train`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy.engine import Connection

from agent_server.commands.ages import days_ago, parse_days
from agent_server.feedback.labels import Place, label_page, labels_with_orders
from agent_server.ledger import LedgerError, reading
from agent_server.settings import AgentSettings
from contract.abuse_types import HONEST_TYPES
from contract.extras import number_text
from contract.fields import LABEL_WEIGHT
from contract.messages import row_of
from contract.schema import TYPES, WRITTEN_TYPES
from contract.tables import TableError
from contract.writing import TableWriter
from generated.vouch.v1.case_service_pb2 import ExportLabelsResponse
from runtime.process.command_line import NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.files import atomic_write

_ADDED = {"label_source": pa.string(), "labelled_at": pa.timestamp("s"), LABEL_WEIGHT: pa.float64()} | {
    "label_confidence": pa.float64()
}


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch labels",
        description="Labels from the ledger.",
        examples=("vouch labels export --output labels.csv --matured 60d",),
        codes={NEGATIVE: "there are no labels yet"},
    )
    result.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    export = result.add_subparsers(dest="action", required=True).add_parser(
        "export",
        help="write a dataset for training",
        examples=("vouch labels export --output labels.csv --matured 60d",),
        codes={NEGATIVE: "there are no labels yet"},
    )
    export.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    export.add_argument(
        "--matured", type=parse_days, default=None, metavar="60d",
        help="only orders of at least this age; approved ones without a report count as legitimate",
    )  # fmt: skip
    return result


@command("vouch labels", LedgerError, TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    settings = AgentSettings.read(**({"ledger_url": options.ledger} if options.ledger else {}))
    matured = None if options.matured is None else days_ago(options.matured)
    with reading(settings.ledger_url) as connection:
        read = partial(_pages, connection, matured, days_ago(0))
        schema = _schema(read())  # needs all rows: an extra may be a number in one and a string in another
        if schema is None:
            print("no labels yet: there is no verdict and no reported outcome")
            return NEGATIVE
        counts, abuse = Counter[str](), 0
        with atomic_write(options.output) as path, TableWriter(path, options.output) as writer:
            for rows in read():
                writer.write(_table(rows, schema))
                counts.update(row["label_source"] for row in rows)
                abuse += sum(row["is_abuse"] for row in rows)
    by_source = ", ".join(f"{count:,} by {source}" for source, count in sorted(counts.items()))
    print(f"{writer.rows:,} labels, {abuse:,} of them abuse: {by_source}")
    return OK


def _pages(connection: Connection, matured_before: int | None, until: int) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of labels that were known at a time, as rows, oldest first."""
    after: Place | None = None
    while True:
        known, after = label_page(after, matured_before=matured_before, until=until)(connection)
        if rows := list(map(_row, labels_with_orders(known)(connection))):
            yield rows
        if after is None:
            return


def _row(label: ExportLabelsResponse) -> dict[str, Any]:
    return row_of(label.transaction) | {
        "is_abuse": label.is_abuse,
        "abuse_type": label.abuse_type or (None if label.is_abuse else HONEST_TYPES[0]),
        "label_source": label.source,
        "labelled_at": label.resolved_at.ToDatetime(),
        LABEL_WEIGHT: label.weight,
        "label_confidence": label.confidence,
    }


def _schema(pages: Iterable[Sequence[dict[str, Any]]]) -> pa.Schema | None:
    """Return the columns that have a value; None if there is no row.

    Fields have the types of the contract. Extras are numbers, or strings if any value is a string.
    """
    known = dict.fromkeys(TYPES) | dict.fromkeys(_ADDED)
    extras: dict[str, pa.DataType] = {}
    found = set[str]()
    for rows in pages:
        for row in rows:
            for name, value in row.items():
                if value is None:
                    continue
                found.add(name)
                if name not in known and extras.get(name) != pa.string():
                    extras[name] = pa.string() if isinstance(value, str) else pa.float64()
    if not found:
        return None
    types = WRITTEN_TYPES | _ADDED | extras
    return pa.schema([(name, kind) for name, kind in types.items() if name in found])


def _table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table. A number in a column of strings is formatted as in requests."""
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_string(field.type):
            values = [number_text(value) if isinstance(value, float) else value for value in values]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)
