"""`vouch evaluate`: how good a model is on a labelled dataset, and what its thresholds cost."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ml_server.artifacts import ArtifactError, Model, load
from ml_server.columns import Columns
from ml_server.costs import Prices, cheapest, cost_of
from ml_server.evaluation import against_limit, by_kind, figures, intervals
from ml_server.mapping import MappingError, Report, read_mapping
from ml_server.reading import read_dataset
from ml_server.report import write_report
from ml_server.scoring_tables import legitimacy
from ml_server.training import TrainingError, abuse_of, split_in_time
from runtime.commands import command
from runtime.files import sha256
from runtime.settings import Shared
from runtime.tables import TableError
from runtime.terminal import plain

APPROVE, DENY = 0.7, 0.4
ROUND_ORDER = 100.0


def parser() -> argparse.ArgumentParser:
    """The options of `vouch evaluate`."""
    result = argparse.ArgumentParser(prog="vouch evaluate", description="Measure a model on a labelled dataset.")
    result.add_argument("--model", default=None, help="version (default: the current one)")
    result.add_argument("--dataset", type=Path, required=True, help="CSV or Parquet with labels")
    result.add_argument("--mapping", type=Path, help="YAML that maps foreign columns")
    result.add_argument("--report", type=Path, help="write a page with curves and costs, HTML")
    result.add_argument("--models-dir", type=Path, default=None, help="where models are kept")
    prices = Prices()
    result.add_argument(
        "--missed-share",
        type=float,
        default=prices.missed_share,
        help="share of the order's value that a missed abuse costs (default: 1)",
    )
    result.add_argument(
        "--denied-cost",
        type=float,
        default=prices.denied_customer,
        help="cost of a customer wrongly denied (default: 20)",
    )
    result.add_argument("--review-cost", type=float, default=prices.review, help="cost of one review (default: 3)")
    result.add_argument("--orders-per-day", type=int, default=1000, help="to tell reviews a day (default: 1000)")
    return result


@command("vouch evaluate", TableError, TrainingError, MappingError, ArtifactError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 well, 2 it could not run."""
    options = parser().parse_args(arguments)
    report = Report()
    mapping = read_mapping(options.mapping) if options.mapping else None
    model = load(options.models_dir or Shared.read().models_dir, options.model)
    table = unseen(model, options.dataset, read_dataset(options.dataset, mapping, report), report)
    is_abuse = abuse_of(table)
    scores = legitimacy(model, table)
    prices = Prices(options.missed_share, options.denied_cost, options.review_cost)
    columns = Columns(table)
    amounts = columns.number("order_amount")
    found: dict[str, Any] = {
        "figures": figures(scores, is_abuse),
        "intervals": intervals(scores, is_abuse),
        "kinds": by_kind(table, scores, is_abuse),
        "limit": {},
    }
    confidence = columns.number("abuse_confidence") if "abuse_confidence" in table.column_names else None
    if confidence is not None and not np.isnan(confidence).any():
        found["limit"] = against_limit(scores, is_abuse, confidence)
    else:
        confidence = None
    if unknown := int(np.isnan(amounts).sum()):
        report.lines.append(f"order_amount is unknown in {unknown:,} rows: costs take {ROUND_ORDER:g} for them")
        amounts = np.nan_to_num(amounts, nan=ROUND_ORDER)
    found["documented"] = cost_of(APPROVE, DENY, scores, is_abuse, amounts, prices)
    found["cheapest"] = cheapest(scores, is_abuse, amounts, prices)
    for line in (*report.lines, *lines(found, options.orders_per_day)):
        print(plain(line))
    if options.report:
        write_report(options.report, model, found, scores, is_abuse, confidence, prices, options.orders_per_day)
    return 0


def unseen(model: Model, path: Path, table: pa.Table, report: Report) -> pa.Table:
    """The rows that a model was not fitted on: all, or of the file that it was trained on the held-out part."""
    if model.metadata["dataset"]["sha256"] != sha256(path):
        return table
    held_out = split_in_time(table.sort_by("timestamp"))[2]
    report.lines.append(
        f"{path.name} is the file that model {model.version} was trained on: measured on its held-out part alone, "
        f"the last {held_out.num_rows:,} of {table.num_rows:,} rows"
    )
    return held_out


def lines(found: dict[str, Any], orders_per_day: int) -> list[str]:
    """Everything found, as lines of text."""
    result = [f"{'figure':22}{'value':>10}{'95 % interval':>22}{'limit':>10}"]
    for name, value in found["figures"].items():
        low, high = found["intervals"].get(name, (float("nan"), float("nan")))
        limit = found["limit"].get(f"limit_{name}")
        shown = f"{low:12.4f} {high:9.4f}" if not np.isnan(low) else " " * 22
        result.append(f"{name:22}{value:10.4f}{shown}" + (f"{limit:10.4f}" if limit is not None else ""))
    result += [f"{name:22}{value:10.4f}" for name, value in found["limit"].items() if not name.startswith("limit_")]
    for kind, values in found["kinds"].items():
        result.append(f"{kind:27}" + "  ".join(f"{name} {value:.4g}" for name, value in values.items()))
    for name in ("documented", "cheapest"):
        cost = found[name]
        result.append(
            f"{name:11} approve {cost.approve:.2f} deny {cost.deny:.2f}: {cost.per_order:.3f} an order, "
            f"{cost.review_share * orders_per_day:.0f} reviews a day of {orders_per_day:,} orders, "
            f"{cost.missed_share:.1%} of abuse approved, {cost.denied_share:.1%} of customers denied"
        )
    return result
