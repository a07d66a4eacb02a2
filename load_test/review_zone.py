"""`vouch review-zone`, documented as `python test_review_transactions.py`: show orders between the thresholds."""

import contextlib
from collections.abc import Sequence
from typing import Any

import httpx

from contract.tables import TableError
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from load_test.keys import key_headers
from load_test.options import add_api_url_option, add_dataset_option, api_url_of
from load_test.orders import Order, find_dataset, read_orders
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import Unavailable, command, example_prefix, program_name
from runtime.process.output import print_json
from runtime.process.port_base import use_port_base
from runtime.process.terminal import escape_unprintable

PROGRAM = program_name("vouch review-zone", "test_review_transactions.py")
_EXAMPLE = example_prefix(PROGRAM)


def parser() -> CommandParser:
    """Return the parser of the options."""
    result = CommandParser(
        prog=PROGRAM,
        description=f"Show orders with a score between {DENY_UP_TO} and {APPROVE_FROM}.",
        examples=(f"{_EXAMPLE}", f"{_EXAMPLE} --count 2 --dataset orders.csv", f"{_EXAMPLE} --count 1 --json"),
        codes={NEGATIVE: "no order between the thresholds was found", NOT_NOW: "the agent is unavailable; try again"},
    )
    result.add_json_option()
    add_api_url_option(result)
    add_dataset_option(result)
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


@command(PROGRAM, TableError, httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    use_port_base(options.port_base)
    found, checked = list[dict[str, Any]](), 0
    orders, (api_url, _) = read_orders(find_dataset(options.dataset)), api_url_of(options)
    with contextlib.suppress(KeyboardInterrupt), httpx.Client(base_url=api_url, timeout=30.0) as client:
        for order in orders[: options.search]:
            try:
                response = client.post("/api/v1/review", json=order.body, headers=key_headers(api_url))
            except httpx.TransportError as error:
                raise Unavailable(
                    f"{api_url} does not answer: {type(error).__name__}; start it by `vouch up`"
                ) from error
            response.raise_for_status()
            checked += 1
            values = response.json()
            if DENY_UP_TO < values["legitimacy_score"] < APPROVE_FROM:
                if not options.json:
                    print("\n".join(escape_unprintable(line) for line in describe(order, values)), flush=True)
                found.append(values | {"is_abuse": order.is_abuse, "abuse_type": order.kind or None})
                if len(found) == options.count:
                    break
    if options.json:
        print_json(found)
    else:
        print(f"\n{len(found)} of {checked} orders have a score between {DENY_UP_TO} and {APPROVE_FROM}")
    return OK if found else NEGATIVE
