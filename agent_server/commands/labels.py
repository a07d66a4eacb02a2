"""`vouch labels`: what is known of orders, as a dataset that `vouch train` takes."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from agent_server.cases.labels import known_labels, labelled
from agent_server.commands.ages import age, long_ago
from agent_server.ledger import LedgerError, open_engine
from agent_server.settings import AgentSettings
from contract.abuse_types import HONEST_TYPES
from contract.fields import LABEL_WEIGHT
from contract.messages import row_of
from contract.schema import FILE_SCHEMA
from contract.tables import TableError
from contract.writing import TableWriter
from generated.vouch.v1.case_service_pb2 import ExportLabelsResponse
from runtime.process.commands import command
from runtime.process.files import complete_or_nothing

_AT_ONCE = 1000
_ADDED = {"label_source": pa.string(), "labelled_at": pa.timestamp("s"), LABEL_WEIGHT: pa.float64()} | {
    "label_confidence": pa.float64()
}


def parser() -> argparse.ArgumentParser:
    """The actions and their options."""
    result = argparse.ArgumentParser(prog="vouch labels", description="Labels out of the ledger.")
    result.add_argument("--ledger", help="URL (default: VOUCH_AGENT_LEDGER_URL)")
    export = result.add_subparsers(dest="action", required=True).add_parser("export", help="a dataset to train on")
    export.add_argument("--output", type=Path, required=True, help=".csv or .parquet")
    export.add_argument(
        "--matured", type=age, default=None, metavar="60d",
        help="also approved orders of at least this age of which nobody said anything, as honest ones",
    )  # fmt: skip
    return result


@command("vouch labels", LedgerError, TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 written, 1 nothing is known, 2 it could not run."""
    options = parser().parse_args(arguments)
    settings = AgentSettings.read(**({"ledger_url": options.ledger} if options.ledger else {}))
    engine = open_engine(settings.ledger_url)
    try:
        with engine.connect() as connection:
            known = known_labels(silent_before=None if options.matured is None else long_ago(options.matured))(
                connection
            )
            if not known:
                print("nothing is known of any order yet: there is no verdict, and no outcome was reported")
                return 1
            rows: list[dict[str, Any]] = []
            for start in range(0, len(known), _AT_ONCE):
                rows += map(_row, labelled(known[start : start + _AT_ONCE])(connection))
    finally:
        engine.dispose()
    with complete_or_nothing(options.output) as path, TableWriter(path, options.output) as writer:
        writer.write(_table(rows).sort_by("timestamp"))  # as training reads it
    counts = Counter(row["label_source"] for row in rows)
    by_source = ", ".join(f"{count:,} by {source}" for source, count in sorted(counts.items()))
    print(f"{len(rows):,} labels, {sum(row['is_abuse'] for row in rows):,} of them abuse: {by_source}")
    return 0


def _row(label: ExportLabelsResponse) -> dict[str, Any]:
    return row_of(label.transaction) | {
        "is_abuse": label.is_abuse,
        "abuse_type": label.abuse_type or (None if label.is_abuse else HONEST_TYPES[0]),
        "label_source": label.source,
        "labelled_at": label.resolved_at.ToDatetime(),
        LABEL_WEIGHT: label.weight,
        "label_confidence": label.confidence,
    }


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """Columns of files as always, what a label brings along, and extras by their names."""
    fields = {field.name: field.type for field in FILE_SCHEMA} | _ADDED
    for row in rows:
        for name, value in row.items():
            fields.setdefault(name, pa.string() if isinstance(value, str) else pa.float64())
    names = [name for name in fields if any(row.get(name) is not None for row in rows)]
    return pa.table({name: pa.array([row.get(name) for row in rows], fields[name]) for name in names})
