"""`vouch demo`: from nothing to decisions. Generates and trains if missing, starts all, streams orders, stops, exit 0."""

import argparse
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from load_test.edge import compare
from load_test.orders import DEFAULT_DATASET, ensure_dataset, read_orders
from runtime.process.commands import command
from stack.ports import ports, taken
from stack.up import READY

SECONDS, RATE, EDGE_ORDERS = 20, 40, 50
TRAINING_DATA = Path("abuse_dataset_50000.csv")
UP_SECONDS, STOP_SECONDS = 90.0, 20.0


def _vouch(*arguments: str) -> None:
    print(f"\n$ vouch {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "vouch", *arguments], check=True)


def _prepare() -> None:
    models = Path(os.environ.get("VOUCH_MODELS_DIR", "models"))
    if not (models / "current").is_dir():
        if not TRAINING_DATA.exists():
            _vouch("generate", "--output", str(TRAINING_DATA))
        _vouch("train", "--dataset", str(TRAINING_DATA))
    ensure_dataset(DEFAULT_DATASET)


def _wait_until_up(up: "subprocess.Popen[str]") -> bool:
    """Pass the services' lines on until they are up; then keep reading in the background so that no pipe fills."""
    assert up.stdout is not None
    timer = threading.Timer(UP_SECONDS, up.terminate)
    timer.start()
    try:
        for line in up.stdout:
            print(line, end="", flush=True)
            if READY in line:
                threading.Thread(
                    target=lambda: [print(rest, end="", flush=True) for rest in up.stdout or ()], daemon=True
                ).start()
                return True
    finally:
        timer.cancel()
    return False


def _stream(at: Mapping[str, int]) -> None:
    agent = f"http://localhost:{at['bridge_agent']}"
    _vouch(
        "load", "--api-url", agent, "--duration", str(SECONDS), "--rate", str(RATE), "--dataset", str(DEFAULT_DATASET)
    )
    orders = read_orders(DEFAULT_DATASET)
    number, worst = compare(list(itertools.islice(orders, EDGE_ORDERS)), f"127.0.0.1:{at['envoy']}")
    print(f"\n{number} orders through Envoy, each as gRPC and as JSON: scores agree within {worst:.1g}", flush=True)
    if worst > 1e-9:
        raise RuntimeError("gRPC and JSON through Envoy give different scores")
    _vouch("review-zone", "--api-url", agent, "--count", "1")


def _show_console(at: Mapping[str, int], keep: bool, up: "subprocess.Popen[str]") -> None:
    address = f"http://localhost:{at.get('console', '(any)')}/"
    if not keep:
        print(f"\nThe cases that wait for a person stay in the ledger: `vouch up` shows them at {address}", flush=True)
        return
    print(f"\nCases wait for you at {address} (Ctrl-C stops everything)", flush=True)
    up.wait()


@command("vouch demo")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 all well, 1 something failed, 2 it could not start."""
    parser = argparse.ArgumentParser(prog="vouch demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep everything running at the end, until Ctrl-C")
    keep = parser.parse_args(arguments).keep
    at = ports()
    if in_use := taken(at):
        for sentence in in_use:
            print(f"vouch demo: {sentence}", file=sys.stderr)
        return 2
    try:
        _prepare()
        print("\n$ vouch up", flush=True)
        with subprocess.Popen([sys.executable, "-m", "vouch", "up"], stdout=subprocess.PIPE, text=True) as up:
            try:
                if not _wait_until_up(up):
                    print("vouch demo: the services did not come up", file=sys.stderr)
                    return 1
                _stream(at)
                _show_console(at, keep, up)
            finally:
                up.send_signal(signal.SIGINT)
                code = up.wait(STOP_SECONDS)
        return 0 if code == 0 else 1
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, RuntimeError) as error:
        print(f"vouch demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
