"""`vouch score`: score all orders of a file, streamed."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from contract.abuse_types import ABUSE_TYPES
from contract.tables import TableError, column_names
from contract.writing import TableWriter
from ml_server.data.datasets import read_for_scoring
from ml_server.data.mapping import FieldMapping, MappingError, Report, read_mapping
from ml_server.data.suitability import check_columns, check_mapping
from ml_server.registry.bundle import ArtifactError, Bundle
from ml_server.registry.store import load
from ml_server.registry.table_scores import calibrate_scores, class_scores
from runtime.process.command_line import CommandParser
from runtime.process.commands import command
from runtime.process.files import atomic_write
from runtime.process.terminal import escape_unprintable
from runtime.settings import Shared


def parser() -> CommandParser:
    """Return the option parser of `vouch score`."""
    result = CommandParser(
        prog="vouch score",
        description="Score every order of a file.",
        examples=(
            "vouch score orders.csv --output scores.csv",
            "vouch score shop.csv --mapping mapping.yaml --output scores.parquet",
        ),
    )
    result.add_argument("file", type=Path, help="orders: CSV, Parquet, .xlsx or .zip, or a folder of these")
    result.add_argument("--output", type=Path, required=True, help="CSV or Parquet by the ending")
    result.add_argument("--model", default=None, help="version (default: the current one)")
    result.add_argument("--mapping", type=Path, help="YAML that maps the columns of other formats")
    result.add_argument(
        "--models-dir", type=Path, default=None, help="folder of models (default: VOUCH_MODELS_DIR or models)"
    )
    return result


def score_tables(model: Bundle, tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    """Yield ids and scores of tables, in order."""
    for table in tables:
        scores = class_scores(model, table)
        legitimacy = calibrate_scores(model, scores)
        columns: dict[str, Any] = {
            "transaction_id": table.column("transaction_id").combine_chunks(),
            "legitimacy_score": legitimacy,
            "prediction": np.where(legitimacy >= 0.5, "legitimate", "fraud"),
        }
        shares = [model.log_odds.with_shares(row)[1] for row in scores.tolist()]
        if shares and shares[0]:
            types = np.array(shares) * (1 - legitimacy)[:, None]
            columns |= {f"{name}_score": types[:, index] for index, name in enumerate(ABUSE_TYPES)}
        arrays = [value if isinstance(value, pa.Array) else pa.array(value) for value in columns.values()]
        yield pa.RecordBatch.from_arrays(arrays, list(columns))


def check_suitability(model: Bundle, path: Path, mapping: FieldMapping | None) -> list[str]:
    """Return warnings about scoring this file by this model. Raises TableError if it is unsuitable."""
    features = model.features
    columns = column_names(path) if mapping is None else [*mapping.columns, *mapping.extra.names]
    try:
        if mapping is not None:
            check_mapping(features.extra, mapping.extra)
        return check_columns(features, model.metadata.importance, columns)
    except TableError as error:
        raise TableError(f"{path}: model {model.version}: {error}") from error


@command("vouch score", TableError, MappingError, ArtifactError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    report = Report()
    mapping = read_mapping(options.mapping) if options.mapping else None
    model = load(options.models_dir or Shared.read().models_dir, options.model)
    print(
        escape_unprintable(
            f"model {model.version}, trained {model.metadata.training_date} on {model.metadata.dataset.get('name', '?')}"
        )
    )
    report.lines += check_suitability(model, options.file, mapping)
    tables = read_for_scoring(options.file, mapping, model.features.extra, report)
    with atomic_write(options.output) as partial, TableWriter(partial, options.output) as writer:
        for batch in score_tables(model, tables):
            writer.write(pa.Table.from_batches([batch]))
            print(f"scored {writer.rows:,} orders", file=sys.stderr)
        if not writer.rows:
            raise TableError(f"{options.file}: the file has no rows")
    for line in report.lines:
        print(escape_unprintable(line))
    print(f"{options.output}: {writer.rows:,} scores by model {model.version}")
    return 0
