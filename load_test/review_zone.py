"""`vouch review-zone`, documented as `python test_review_transactions.py`: show orders between the thresholds."""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from contract.tables import TableError
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from load_test.cli import DEFAULT_URL
from load_test.keys import key_headers
from load_test.orders import DEFAULT_DATASET, Order, ensure_dataset, read_orders
from runtime.process.commands import command, program_name
from runtime.process.terminal import escape_unprintable

PROGRAM = program_name("vouch review-zone", "test_review_transactions.py")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    result = argparse.ArgumentParser(
        prog=PROGRAM,
        description=f"Show orders with a score between {DENY_UP_TO} and {APPROVE_FROM}.",
    )
    result.add_argument("--api-url", default=DEFAULT_URL, help=f"agent service (default: {DEFAULT_URL})")
    result.add_argument(
        "--dataset", type=Path, default=DEFAULT_DATASET, help=f"labelled CSV or Parquet (default: {DEFAULT_DATASET})"
    )
    result.add_argument("--count", type=int, default=5, help="orders to show (default: 5)")
    result.add_argument("--search", type=int, default=1000, help="maximum number of orders to search (default: 1000)")
    return result


def describe(order: Order, response: dict[str, Any]) -> list[str]:
    """Return an order of the review zone as lines of text."""
    lines = [
        "",
        f"{response['transaction_id']}  score {response['legitimacy_score']:.3f}  (truth: {order.kind or order.is_abuse})",
        f"  decision   {response['decision']} by {response['decision_maker']}, case {response['case_id'] or '-'}",
        f"  reasoning  {response['reasoning']}",
    ]
    analysis = response["agent_analysis"] or {"evidence": [], "recommendation": "-"}
    lines.append(f"  agent      recommends {analysis['recommendation']}")
    lines += [f"  evidence   {each['finding']}" for each in analysis["evidence"]]
    return lines


@command(
    PROGRAM,
    TableError,
    httpx.HTTPError,
    httpx.InvalidURL,
    ValueError,
    KeyError,
)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 if orders were found, 1 if none was, 2 for an error."""
    options = parser().parse_args(arguments)
    in_zone = checked = 0
    ensure_dataset(options.dataset)
    orders = read_orders(options.dataset)
    with contextlib.suppress(KeyboardInterrupt), httpx.Client(base_url=options.api_url, timeout=30.0) as client:
        for order in orders[: options.search]:
            response = client.post("/api/v1/review", json=order.body, headers=key_headers(options.api_url))
            response.raise_for_status()
            checked += 1
            values = response.json()
            if DENY_UP_TO < values["legitimacy_score"] < APPROVE_FROM:
                print("\n".join(escape_unprintable(line) for line in describe(order, values)), flush=True)
                in_zone += 1
                if in_zone == options.count:
                    break
    print(f"\n{in_zone} of {checked} orders have a score between {DENY_UP_TO} and {APPROVE_FROM}")
    return 0 if in_zone else 1
