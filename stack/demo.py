"""`vouch demo`: generate data and train if missing, start all services, stream orders, show decisions, stop."""

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
from load_test.compare_transports import compare
from load_test.display import LiveTable
from load_test.open_loop import run
from load_test.orders import DEFAULT_DATASET, Order, find_dataset, read_orders, stream
from load_test.outcomes import Outcome, Tally, summary
from runtime.process.command_line import CANNOT_RUN, INTERRUPTED, NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.port_base import add_port_base_option, use_port_base
from stack.ports import ports_in_use, read_ports
from stack.up import READY

SECONDS, MAX_RATE, EDGE_ORDERS = 20.0, 40.0, 50
MEASURED_SECONDS, LOAD_SHARE = 2.0, 0.5
"""Duration of the capacity measurement, and the share of the measured capacity that is then sent."""
MEASURED_ORDERS = 500
"""Orders at the end of the dataset, at most half of it, reserved for the measurement."""
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
        _vouch("train", "--dataset", str(TRAINING_DATA))
    find_dataset(DEFAULT_DATASET)


@contextmanager
def _services() -> Iterator["subprocess.Popen[bytes]"]:
    """Run `vouch up` with its output in the log. Raise RuntimeError if it fails."""
    print(f"\n$ vouch up > {LOG}", flush=True)
    with LOG.open("wb") as log:
        up = subprocess.Popen([sys.executable, "-m", "vouch", "up"], stdout=log, stderr=log)
    started = time.monotonic()
    try:
        with Console().status("starting the services"):
            while READY not in LOG.read_text(errors="replace"):
                if up.poll() is not None or time.monotonic() - started > UP_SECONDS:
                    raise RuntimeError(f"the services did not start; last lines of {LOG}:\n{_last_log_lines()}")
                time.sleep(0.1)
        print(f"all services started after {time.monotonic() - started:.1f} s; log: {LOG}", flush=True)
        yield up
    finally:
        up.send_signal(signal.SIGINT)
        code = up.wait(STOP_SECONDS)
    if code:
        raise RuntimeError(f"the services exited with code {code}; last lines of {LOG}:\n{_last_log_lines()}")


def _last_log_lines() -> str:
    return "\n".join(LOG.read_text(errors="replace").splitlines()[-20:])


def _stream_orders(ports: Mapping[str, int], seconds: float) -> list[str]:
    """Send orders for `seconds` at a rate that this machine can handle; return the summary as lines."""
    url = f"http://localhost:{ports['bridge_agent']}/api/v1/review"
    orders = read_orders(DEFAULT_DATASET)
    streamed_count = len(orders) - min(MEASURED_ORDERS, len(orders) // 2)
    streamed, measured = orders[:streamed_count], orders[streamed_count:]
    with Console().status("measuring capacity in orders per second"):
        capacity = asyncio.run(measure_capacity(url, measured, MEASURED_SECONDS, f"demo-{secrets.token_hex(4)}"))
    rate = min(MAX_RATE, max(1.0, LOAD_SHARE * capacity))
    print(
        f"\ncapacity: about {capacity:.0f} orders per second; sending {rate:.0f} per second for {seconds:g} s",
        flush=True,
    )
    tally, display = Tally(), LiveTable()

    def on_outcome(outcome: Outcome) -> None:
        tally.add(outcome)
        display.show(outcome, tally)

    started = time.monotonic()
    try:
        asyncio.run(
            run(
                url, stream(streamed, 0.5, seed=1), rate=rate, duration=seconds, concurrency=CALLERS,
                on_outcome=on_outcome, retries=RETRIES,
            )
        )  # fmt: skip
    finally:
        display.close()
    lines = summary(tally, time.monotonic() - started)
    if tally.errors:
        raise RuntimeError("\n".join(("orders failed", *lines)))
    return [*lines, _compare_at_edge(ports, streamed)]


def _compare_at_edge(ports: Mapping[str, int], orders: Sequence[Order]) -> str:
    """Compare gRPC and JSON scores through Envoy; return the result. Raise RuntimeError if they differ."""
    number, largest = compare(list(itertools.islice(orders, EDGE_ORDERS)), f"127.0.0.1:{ports['envoy']}")
    if largest > 1e-9:
        raise RuntimeError("gRPC and JSON scores through Envoy differ")
    return f"Envoy: {number} orders as gRPC and as JSON, scores agree within {largest:.1g}"


def _show_example(ports: Mapping[str, int]) -> None:
    print("\nAn order between the thresholds, with its evidence:", flush=True)
    _vouch("review-zone", "--api-url", f"http://localhost:{ports['bridge_agent']}", "--count", "1")


def parser() -> CommandParser:
    """Return the parser of `vouch demo`."""
    result = CommandParser(
        prog="vouch demo",
        description="Generate data and train if missing, start all services, stream orders, show decisions, and stop.",
        examples=("vouch demo", "vouch demo --seconds 5 --keep", "vouch demo --port-base 9000"),
        codes={NEGATIVE: "a step failed"},
    )
    result.add_argument("--keep", action="store_true", help="keep the services running until Ctrl-C")
    result.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"seconds to stream orders (default: {SECONDS:g})", metavar="S"
    )
    add_port_base_option(result)
    return result


@command("vouch demo", TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    use_port_base(options.port_base)
    if not 0 < options.seconds < math.inf:
        parser().error(f"--seconds must be above 0, not {options.seconds:g}")
    keep: bool = options.keep
    ports = read_ports()
    if in_use := ports_in_use(ports):
        for sentence in in_use:
            print(f"vouch demo: {sentence}", file=sys.stderr)
        return CANNOT_RUN
    console = f"http://localhost:{ports.get('console', '(any)')}/"
    for name in ("SIGTERM", "SIGHUP"):  # handle like Ctrl-C; otherwise the services would keep running
        if number := getattr(signal, name, None):
            signal.signal(number, signal.default_int_handler)
    try:
        _prepare()
        with _services() as up:
            lines = _stream_orders(ports, options.seconds)
            _show_example(ports)
            print("\n".join(("\nSummary", *lines)), flush=True)
            if keep:
                print(f"\nReview the open cases at {console} (Ctrl-C stops everything)", flush=True)
                up.wait()
        if not keep:
            print(f"\nOpen cases stay in the ledger: run `vouch up` and review them at {console}", flush=True)
        return OK
    except (
        subprocess.CalledProcessError,
        subprocess.TimeoutExpired,
        RuntimeError,
        grpc.RpcError,
        httpx.HTTPError,
    ) as error:
        print(f"vouch demo: {error}", file=sys.stderr)
        return NEGATIVE
    except KeyboardInterrupt:
        return INTERRUPTED
