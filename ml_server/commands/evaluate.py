"""`vouch evaluate`: measure a model on a labelled dataset, and the cost of its thresholds."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from contract.prices import Prices
from contract.tables import TableError
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from ml_server.data.datasets import drop_unlabelled, read_dataset
from ml_server.data.mapping import MappingError, Report, read_mapping
from ml_server.evaluation.costs import cheapest, cost_of
from ml_server.evaluation.figures import against_limit, by_group, exact_confidence, figures, intervals
from ml_server.evaluation.report import Measurements, write_report
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.registry.bundle import ArtifactError, Bundle
from ml_server.registry.store import held_out_scores, load
from ml_server.registry.table_scores import legitimacy
from ml_server.training.labels import TrainingError, abuse_of, optional_weights
from ml_server.training.split import split_in_time
from runtime.process.command_line import CommandParser
from runtime.process.commands import command
from runtime.process.files import digest_of
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable
from runtime.settings import Shared

ROUND_ORDER = 100.0


def parser() -> CommandParser:
    """Return the option parser of `vouch evaluate`."""
    result = CommandParser(
        prog="vouch evaluate",
        description="Measure a model on a labelled dataset.",
        examples=(
            "vouch evaluate --dataset orders.csv",
            "vouch evaluate --dataset orders.csv --report report.html",
            "vouch evaluate --dataset orders.csv --json",
        ),
    )
    result.add_argument("--model", default=None, help="version (default: the current one)")
    result.add_argument(
        "--dataset", type=Path, required=True, help="labelled orders: CSV, Parquet, .xlsx or .zip, or a folder of these"
    )
    result.add_argument("--mapping", type=Path, help="YAML that maps the columns of other formats")
    result.add_argument("--report", type=Path, help="write an HTML report with curves and costs")
    result.add_argument(
        "--models-dir", type=Path, default=None, help="folder of models (default: VOUCH_MODELS_DIR or models)"
    )
    prices = Prices()
    result.add_argument(
        "--missed-share",
        type=float,
        default=prices.missed_share,
        help="share of the order's value lost to missed abuse (default: 1)",
    )
    result.add_argument(
        "--denied-cost",
        type=float,
        default=prices.denied_customer,
        help="cost of a customer wrongly denied (default: 20)",
    )
    result.add_argument("--review-cost", type=float, default=prices.review, help="cost of one review (default: 3)")
    result.add_argument("--orders-per-day", type=int, default=1000, help="to compute reviews a day (default: 1000)")
    result.add_json_option()
    return result


@command("vouch evaluate", TableError, TrainingError, MappingError, ArtifactError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    report = Report()
    mapping = read_mapping(options.mapping) if options.mapping else None
    models = options.models_dir or Shared.read().models_dir
    bundle = load(models, options.model)
    table = drop_unlabelled(read_dataset(options.dataset, mapping, report), report)
    table, scores = held_out_rows(bundle, options.dataset, table, held_out_scores(models, bundle), report)
    prices = Prices(options.missed_share, options.denied_cost, options.review_cost)
    measured = measure(scores, table, prices, report)
    if options.json:
        print_json(as_json(bundle.version, measured, report))
    else:
        for line in (*report.lines, *format_lines(measured, options.orders_per_day)):
            print(escape_unprintable(line))
    if options.report:
        write_report(options.report, bundle.metadata, measured, prices, options.orders_per_day)
    return 0


def held_out_rows(
    bundle: Bundle, path: Path, table: pa.Table, held_out: Numbers | None, report: Report
) -> tuple[pa.Table, Numbers]:
    """Return the rows that a model was not fitted on, with their scores: all rows, or the last part of its own training
    file.

    For that part, return the scores from training, before the model was fitted on all rows.
    """
    if bundle.metadata.dataset["sha256"] != digest_of(path):
        return table, legitimacy(bundle, table)
    ordered = table.sort_by("timestamp")
    part = split_in_time(ordered)[1] if held_out is None else ordered.slice(ordered.num_rows - len(held_out))
    report.lines.append(
        f"{path.name} is the training file of model {bundle.version}: measured only on its held-out part, "
        f"the last {part.num_rows:,} of {table.num_rows:,} rows"
        + ("" if held_out is None else ", with scores from before the final fit on all rows")
    )
    return part, legitimacy(bundle, part) if held_out is None else held_out


def measure(scores: Numbers, table: pa.Table, prices: Prices, report: Report) -> Measurements:
    """Return all measurements of the scores of a table."""
    is_abuse, weights, columns = abuse_of(table), optional_weights(table), TableColumns(table)
    amounts, confidence = _amounts(columns, report), exact_confidence(table)
    return Measurements(
        scores=scores,
        is_abuse=is_abuse,
        confidence=confidence,
        figures=figures(scores, is_abuse, weights),
        intervals=intervals(scores, is_abuse, weights),
        limit={} if confidence is None else against_limit(scores, is_abuse, confidence, weights),
        groups=by_group(table, scores, is_abuse),
        documented=cost_of(APPROVE_FROM, DENY_UP_TO, scores, is_abuse, amounts, prices, weights),
        cheapest=cheapest(scores, is_abuse, amounts, prices, weights),
    )


def _amounts(columns: TableColumns, report: Report) -> Numbers:
    amounts = columns.number("order_amount")
    if unknown := int(np.isnan(amounts).sum()):
        report.lines.append(f"order_amount is unknown in {unknown:,} rows; costs assume {ROUND_ORDER:g} for them")
    return np.nan_to_num(amounts, nan=ROUND_ORDER)


def as_json(version: str, measured: Measurements, report: Report) -> dict[str, Any]:
    """Return all measurements for programs."""
    return {
        "model_version": version,
        "notes": report.lines,
        "figures": measured.figures,
        "intervals": measured.intervals,
        "limit": measured.limit,
        "groups": measured.groups,
        "costs": {"documented": asdict(measured.documented), "cheapest": asdict(measured.cheapest)},
    }


def format_lines(measured: Measurements, orders_per_day: int) -> list[str]:
    """Format all measurements as lines of text."""
    result = [f"{'figure':22}{'value':>10}{'95 % interval':>22}{'limit':>10}"]
    for name, value in measured.figures.items():
        low, high = measured.intervals.get(name, (float("nan"), float("nan")))
        limit = measured.limit.get(f"limit_{name}")
        shown = f"{low:12.4f} {high:9.4f}" if not np.isnan(low) else " " * 22
        result.append(f"{name:22}{value:10.4f}{shown}" + (f"{limit:10.4f}" if limit is not None else ""))
    result += [f"{name:22}{value:10.4f}" for name, value in measured.limit.items() if not name.startswith("limit_")]
    for group, values in measured.groups.items():
        result.append(f"{group:27}" + "  ".join(f"{name} {value:.4g}" for name, value in values.items()))
    for name, cost in (("documented", measured.documented), ("cheapest", measured.cheapest)):
        result.append(
            f"{name:11} approve {cost.approve:.2f} deny {cost.deny:.2f}: {cost.per_order:.3f} an order, "
            f"{cost.review_share * orders_per_day:.0f} reviews a day of {orders_per_day:,} orders, "
            f"{cost.missed_share:.1%} of abuse approved, {cost.denied_share:.1%} of customers denied"
        )
    return result
