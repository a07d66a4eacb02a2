"""`vouch load`, documented as `python test_api.py`: stream labelled orders at an agent and count what it decides."""

import argparse
import asyncio
import contextlib
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from contract.tables import TableError
from load_test.display import display_for
from load_test.extras import model_extras
from load_test.orders import DEFAULT_DATASET, ensure_dataset, read_orders, stream
from load_test.outcomes import Outcome, Tally, summary
from load_test.sending import run
from runtime.process.commands import command, program
from runtime.process.terminal import plain

PROGRAM = program("vouch load", "test_api.py")
DEFAULT_URL, DEFAULT_MODEL_URL = "http://localhost:8001", "http://localhost:8000"


def parser() -> argparse.ArgumentParser:
    """The documented options, and two more."""
    result = argparse.ArgumentParser(prog=PROGRAM, description="Stream labelled orders at a running agent.")
    result.add_argument("--api-url", default=DEFAULT_URL, help=f"agent service (default: {DEFAULT_URL})")
    result.add_argument(
        "--model-url",
        default="",
        help="scorer's REST, or the edge, asked which extra columns of the dataset to send (default: the agent's own, then "
        f"{DEFAULT_MODEL_URL} beside {DEFAULT_URL})",
    )
    result.add_argument("--rate", type=float, default=1.0, help="requests per second (default: 1.0)")
    result.add_argument("--fraud-ratio", type=float, default=0.5, help="share of abuse, 0 to 1 (default: 0.5)")
    result.add_argument(
        "--dataset", type=Path, default=DEFAULT_DATASET, help=f"labelled CSV or Parquet (default: {DEFAULT_DATASET})"
    )
    result.add_argument("--duration", type=float, default=None, help="seconds (default: until Ctrl-C)")
    result.add_argument("--concurrency", type=int, default=64, help="most requests under way (default: 64)")
    result.add_argument(
        "--retries", type=int, default=5, help="send an order again this often where it is refused for now (default: 5)"
    )
    result.add_argument("--seed", type=int, default=1, help="order of the orders (default: 1)")
    return result


def checked(options: argparse.Namespace) -> str:
    """What is wrong with the options; empty when nothing is."""
    if not options.rate > 0 or options.rate == float("inf"):
        return f"--rate must be above 0, not {options.rate:g}"
    if not 0 <= options.fraud_ratio <= 1:
        return f"--fraud-ratio must lie in 0..1, not {options.fraud_ratio:g}"
    if options.duration is not None and not options.duration > 0:
        return f"--duration must be above 0, not {options.duration:g}"
    if options.concurrency < 1:
        return f"--concurrency must be at least 1, not {options.concurrency}"
    if options.retries < 0:
        return f"--retries must be at least 0, not {options.retries}"
    if not options.api_url.startswith(("http://", "https://")):
        return f"--api-url must start with http:// or https://, not {options.api_url}"
    return ""


@command(PROGRAM, TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 answers came, 1 none came, 2 it could not run."""
    options = parser().parse_args(arguments)
    if problem := checked(options):
        raise TableError(problem)
    ensure_dataset(options.dataset)
    default = options.api_url.rstrip("/") == DEFAULT_URL
    models = [options.model_url] if options.model_url else [options.api_url, DEFAULT_MODEL_URL][: 1 + default]
    extras = model_extras(*models)
    orders = stream(read_orders(options.dataset, extras), options.fraud_ratio, options.seed)
    first = next(orders)  # a class that is missing shows before anything is sent
    tally, display = Tally(), display_for(options.rate)

    def done(outcome: Outcome) -> None:
        tally.add(outcome)
        display.show(outcome, tally)

    started = time.monotonic()
    url = options.api_url.rstrip("/") + "/api/v1/review"
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            run(
                url,
                itertools.chain([first], orders),
                rate=options.rate,
                duration=options.duration,
                concurrency=options.concurrency,
                done=done,
                retries=options.retries,
            )
        )
    display.close()
    print("\n".join(plain(line) for line in summary(tally, time.monotonic() - started)), flush=True)
    return 0 if tally.latencies else 1
