"""`vouch demo`: from nothing to decisions. Generates and trains if missing, starts all, streams orders, stops, exit 0."""

import argparse
import asyncio
import itertools
import math
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
from rich.console import Console

from contract.tables import TableError
from load_test.capacity import measure_capacity
from load_test.display import LiveTable
from load_test.edge import compare
from load_test.orders import DEFAULT_DATASET, Order, ensure_dataset, read_orders, stream
from load_test.outcomes import Outcome, Tally, summary
from load_test.sending import run
from runtime.process.commands import command
from stack.ports import ports, taken
from stack.up import READY

SECONDS, MOST_RATE, EDGE_ORDERS = 20.0, 40.0, 50
MEASURED_SECONDS, CARRIED = 2.0, 0.5
"""How long the machine is measured, and the share of what it answered that is then sent."""
MEASURED_ORDERS = 500
"""Orders at the end of the dataset, at most half of it, that the measurement sends, and the stream does not."""
CALLERS, RETRIES = 32, 20
TRAINING_DATA, LOG = Path("abuse_dataset_50000.csv"), Path("vouch_demo.log")
UP_SECONDS, STOP_SECONDS = 180.0, 120.0


def _vouch(*arguments: str) -> None:
    print(f"\n$ vouch {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "vouch", *arguments], check=True)


def _prepare() -> None:
    models = Path(os.environ.get("VOUCH_MODELS_DIR", "models"))
    if not (models / "current").is_dir():
        if not TRAINING_DATA.exists():
            _vouch("generate", "--output", str(TRAINING_DATA))
        _vouch("train", "--dataset", str(TRAINING_DATA), "--form", "tables")
    ensure_dataset(DEFAULT_DATASET)


@contextmanager
def _services() -> Iterator["subprocess.Popen[bytes]"]:
    """`vouch up` while the context lasts; its lines go into the log. Raises RuntimeError where it does not run well."""
    print(f"\n$ vouch up > {LOG}", flush=True)
    with LOG.open("wb") as log:
        up = subprocess.Popen([sys.executable, "-m", "vouch", "up"], stdout=log, stderr=log)
    begun = time.monotonic()
    try:
        with Console().status("starting the services"):
            while READY not in LOG.read_text(errors="replace"):
                if up.poll() is not None or time.monotonic() - begun > UP_SECONDS:
                    raise RuntimeError(f"the services did not come up; the end of {LOG}:\n{_end_of_log()}")
                time.sleep(0.1)
        print(f"all services are up after {time.monotonic() - begun:.1f} s; their log is {LOG}", flush=True)
        yield up
    finally:
        up.send_signal(signal.SIGINT)
        code = up.wait(STOP_SECONDS)
    if code:
        raise RuntimeError(f"the services ended with exit code {code}; the end of {LOG}:\n{_end_of_log()}")


def _end_of_log() -> str:
    return "\n".join(LOG.read_text(errors="replace").splitlines()[-20:])


def _stream(at: Mapping[str, int], seconds: float) -> list[str]:
    """Send orders for so many seconds, at a rate that this machine carries; return the summary as lines."""
    url = f"http://localhost:{at['bridge_agent']}/api/v1/review"
    orders = read_orders(DEFAULT_DATASET)
    kept = len(orders) - min(MEASURED_ORDERS, len(orders) // 2)
    streamed, measured = orders[:kept], orders[kept:]
    with Console().status("measuring how many orders a second this machine answers"):
        capacity = asyncio.run(measure_capacity(url, measured, MEASURED_SECONDS, f"demo-{secrets.token_hex(4)}"))
    rate = min(MOST_RATE, max(1.0, CARRIED * capacity))
    print(
        f"\nthis machine answers about {capacity:.0f} orders a second; sending {rate:.0f} a second for {seconds:g} s",
        flush=True,
    )
    tally, display = Tally(), LiveTable()

    def done(outcome: Outcome) -> None:
        tally.add(outcome)
        display.show(outcome, tally)

    begun = time.monotonic()
    try:
        asyncio.run(
            run(
                url, stream(streamed, 0.5, seed=1), rate=rate, duration=seconds, concurrency=CALLERS, done=done, retries=RETRIES
            )
        )  # fmt: skip
    finally:
        display.close()
    lines = summary(tally, time.monotonic() - begun)
    if tally.errors:
        raise RuntimeError("\n".join(("orders failed", *lines)))
    return [*lines, _edge(at, streamed)]


def _edge(at: Mapping[str, int], orders: Sequence[Order]) -> str:
    """Compare gRPC and JSON through Envoy; return what was found."""
    number, worst = compare(list(itertools.islice(orders, EDGE_ORDERS)), f"127.0.0.1:{at['envoy']}")
    if worst > 1e-9:
        raise RuntimeError("gRPC and JSON through Envoy give different scores")
    return f"Envoy: {number} orders as gRPC and as JSON, scores agree within {worst:.1g}"


def _example(at: Mapping[str, int]) -> None:
    print("\nAn order between the thresholds, with its evidence:", flush=True)
    _vouch("review-zone", "--api-url", f"http://localhost:{at['bridge_agent']}", "--count", "1")


@command("vouch demo", TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 all well, 1 something failed, 2 it could not start."""
    parser = argparse.ArgumentParser(prog="vouch demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep everything running at the end, until Ctrl-C")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="stream orders for so long", metavar="S")
    given = parser.parse_args(arguments)
    if not 0 < given.seconds < math.inf:
        parser.error("--seconds must be above 0")
    keep: bool = given.keep
    at = ports()
    if in_use := taken(at):
        for sentence in in_use:
            print(f"vouch demo: {sentence}", file=sys.stderr)
        return 2
    console = f"http://localhost:{at.get('console', '(any)')}/"
    for name in ("SIGTERM", "SIGHUP"):  # end as by Ctrl-C: otherwise the services would stay
        if number := getattr(signal, name, None):
            signal.signal(number, signal.default_int_handler)
    try:
        _prepare()
        with _services() as up:
            lines = _stream(at, given.seconds)
            _example(at)
            print("\n".join(("\nSummary", *lines)), flush=True)
            if keep:
                print(f"\nCases wait for you at {console} (Ctrl-C stops everything)", flush=True)
                up.wait()
        if not keep:
            print(
                f"\nThe cases that wait for a person stay in the ledger: `vouch up` shows them at {console}", flush=True
            )
        return 0
    except (
        subprocess.CalledProcessError,
        subprocess.TimeoutExpired,
        RuntimeError,
        grpc.RpcError,
        httpx.HTTPError,
    ) as error:
        print(f"vouch demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
