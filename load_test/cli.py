"""`vouch load`, documented as `python test_api.py`: send labelled orders to an agent and count its decisions."""

import argparse
import asyncio
import contextlib
import itertools
import time
from collections.abc import Sequence

from contract.tables import TableError
from load_test.display import display_for
from load_test.extras import fetch_model_extras
from load_test.open_loop import run
from load_test.options import SCORER_PORT, add_api_url_option, add_dataset_option, api_url_of, local_url
from load_test.orders import find_dataset, read_orders, stream
from load_test.outcomes import Outcome, Tally, summary
from runtime.process.command_line import NEGATIVE, OK, CommandParser
from runtime.process.commands import command, example_prefix, program_name
from runtime.process.port_base import use_port_base
from runtime.process.terminal import escape_unprintable

PROGRAM = program_name("vouch load", "test_api.py")
_EXAMPLE = example_prefix(PROGRAM)
CODES = {NEGATIVE: "no order was answered"}


def parser() -> CommandParser:
    """Return the parser of the documented options and additional ones."""
    result = CommandParser(
        prog=PROGRAM,
        description="Send labelled orders to a running agent.",
        examples=(
            f"{_EXAMPLE} --rate 1.0 --fraud-ratio 0.5",
            f"{_EXAMPLE} --rate 5.0 --fraud-ratio 0.3 --duration 60",
            f"{_EXAMPLE} --dataset data/abuse_dataset_10000.csv",
        ),
        codes=CODES,
    )
    add_api_url_option(result)
    result.add_argument(
        "--model-url",
        help="scorer or edge that lists the extra columns to send (default: --api-url, then the scorer of this machine "
        "if --api-url is not given)",
    )
    result.add_argument("--rate", type=float, default=1.0, help="requests per second (default: 1.0)")
    result.add_argument("--fraud-ratio", type=float, default=0.5, help="share of abuse, 0 to 1 (default: 0.5)")
    add_dataset_option(result)
    result.add_argument("--duration", type=float, default=None, help="seconds (default: until Ctrl-C)")
    result.add_argument("--concurrency", type=int, default=64, help="limit of concurrent requests (default: 64)")
    result.add_argument(
        "--retries", type=int, default=5, help="retries of an order that is refused temporarily (default: 5)"
    )
    result.add_argument("--seed", type=int, default=1, help="seed of the random choice of orders (default: 1)")
    return result


def find_problem(options: argparse.Namespace) -> str:
    """Return what is wrong with the options; empty if they are valid."""
    if not options.rate > 0 or options.rate == float("inf"):
        return f"--rate must be above 0, not {options.rate:g}"
    if not 0 <= options.fraud_ratio <= 1:
        return f"--fraud-ratio must be from 0 to 1, not {options.fraud_ratio:g}"
    if options.duration is not None and not options.duration > 0:
        return f"--duration must be above 0, not {options.duration:g}"
    if options.concurrency < 1:
        return f"--concurrency must be at least 1, not {options.concurrency}"
    if options.retries < 0:
        return f"--retries must be at least 0, not {options.retries}"
    if options.api_url is not None and not options.api_url.startswith(("http://", "https://")):
        return f"--api-url must start with http:// or https://, not {options.api_url}"
    return ""


@command(PROGRAM, TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    if problem := find_problem(options):
        raise TableError(problem)
    use_port_base(options.port_base)
    dataset = find_dataset(options.dataset)
    api_url, is_local = api_url_of(options)
    models = [options.model_url] if options.model_url else [api_url, local_url(SCORER_PORT)][: 1 + is_local]
    extras = fetch_model_extras(*models)
    orders = stream(read_orders(dataset, extras), options.fraud_ratio, options.seed)
    first = next(orders)  # raises TableError for a missing class before anything is sent
    tally, display = Tally(), display_for(options.rate)

    def on_outcome(outcome: Outcome) -> None:
        tally.add(outcome)
        display.show(outcome, tally)

    started = time.monotonic()
    url = f"{api_url}/api/v1/review"
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            run(
                url,
                itertools.chain([first], orders),
                rate=options.rate,
                duration=options.duration,
                concurrency=options.concurrency,
                on_outcome=on_outcome,
                retries=options.retries,
            )
        )
    display.close()
    print("\n".join(escape_unprintable(line) for line in summary(tally, time.monotonic() - started)), flush=True)
    return OK if tally.latencies else NEGATIVE
