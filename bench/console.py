"""`python -m bench.console`: response time and size of the console's pages with many cases; and screenshots.

The ledger has 50,000 open cases, and a customer with 500 orders whose device 100 others share. `--pictures FOLDER`
takes screenshots of all pages in both themes instead, with orders of a stream (needs Chromium).
"""

import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import grpc
import httpx

from agent_server.cases.recording import RecordDecision
from bench.harness.options import models_of, parser
from contract.messages import messages
from contract.tables import read_table
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.inputs.orders import message
from testing.ledger.decisions import append_decisions, new_decision
from testing.reports.results import entry, write
from testing.servers.processes import Stack, run

CASES, EARLIER, LINKED, REQUESTS, ORDERS = 50_000, 500, 100, 200, 300
PAGES = ("queue", "decisions", "overview", "policy", "model", "reviewers")
_ALL_TO_PEOPLE = {"VOUCH_AGENT_APPROVE_THRESHOLD": "0.99999", "VOUCH_AGENT_DENY_THRESHOLD": "0.00001"}
_BUSY = "customer-of-many-orders"


def waiting(number: int) -> RecordDecision:
    """Return an open case of one of many customers."""
    return new_decision(f"waiting-{number}", user_id=f"customer-{number % 9973}")


def busy_orders(earlier: int, linked: int) -> Iterator[Transaction]:
    """Yield a customer's many orders, those of others on the same device, and the order whose case is requested."""
    for number in range(earlier + linked):
        user = _BUSY if number < earlier else f"other-{number}"
        yield message(
            transaction_id=f"earlier-{number}", user_id=user, device_id="shared", card_id=f"tok_{number % 7}_x"
        )
    yield message(transaction_id="the-case", user_id=_BUSY, device_id="shared", card_id="tok_1_x")


@contextlib.contextmanager
def serving(folder: Path, models: Path, **settings: str) -> Iterator[Stack]:
    """Run scorer, agent and console."""
    stack = Stack(folder, models, settings)
    try:
        stack.start("ml", "agent", "rest_agent", "console")
        stack.wait_until_healthy()
        yield stack
    finally:
        stack.close()


def review_orders(stack: Stack, orders: Iterable[Transaction]) -> list[pb.ReviewResponse]:
    """Return the agent's decisions on orders."""
    with grpc.insecure_channel(stack.address("agent")) as channel:
        stub = AgentServiceStub(channel)
        return [stub.Review(pb.ReviewRequest(transaction=order), timeout=20) for order in orders]


def p95(client: httpx.Client, path: str, count: int) -> tuple[float, int]:
    """Return the 95th percentile of a page's response time in milliseconds over `count` requests, and its bytes."""
    took, size = [], 0
    for _ in range(count):
        begun = time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
        size = len(answer.content)
    return statistics.quantiles(took, n=20)[-1], size


def measure(folder: Path, models: Path, *, short: bool) -> None:
    """Measure and write the results."""
    earlier, linked, requests = (10, 3, 3) if short else (EARLIER, LINKED, REQUESTS)
    append_decisions(f"sqlite:///{folder / 'ledger.db'}", 60 if short else CASES, waiting)
    with (
        serving(folder, models, **_ALL_TO_PEOPLE) as stack,
        httpx.Client(base_url=stack.url("console"), timeout=30) as client,
    ):
        case_id = review_orders(stack, busy_orders(earlier, linked))[-1].case_id
        assert case_id, "the order has no case"
        client.get("/console/queue")  # a local session
        queue, weight = p95(client, "/console/queue", requests)
        case, case_weight = p95(client, f"/console/cases/{case_id}", requests)
        parts = sum(
            len(client.get(f"/console/static/{file.name}").content) for file in Path("console/static").iterdir()
        )
    write("console", {
        "console_queue_p95_ms": entry([queue], "ms"),
        "console_case_p95_ms": entry([case], "ms"),
        "console_queue_weight": entry([weight + parts], "bytes"),
        "console_case_weight": entry([case_weight + parts], "bytes"),
    }, short=short)  # fmt: skip


def take_pictures(folder: Path, models: Path, target: Path) -> None:
    """Take screenshots of all pages, in both themes."""
    from playwright.sync_api import sync_playwright

    run("vouch.py", "generate", "--stream", "--size", "6000", "--output", str(folder / "s.parquet"), "--no-validate")
    orders = list(messages(read_table(folder / "s.parquet")))[-ORDERS:]
    target.mkdir(parents=True, exist_ok=True)
    with serving(folder, models) as stack, sync_playwright() as playwright:
        review_orders(stack, orders)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for theme in ("light", "dark"):
            context = browser.new_context(color_scheme=theme, viewport={"width": 1200, "height": 900})
            page = context.new_page()
            for name in PAGES:
                page.goto(f"{stack.url('console')}/console/{name}", wait_until="load")
                page.wait_for_timeout(200)
                page.screenshot(path=target / f"{name}-{theme}.png")
            page.goto(f"{stack.url('console')}/console/queue")
            page.keyboard.press("n")
            page.wait_for_url("**/console/cases/*")
            page.wait_for_timeout(200)
            page.screenshot(path=target / f"case-{theme}.png")
            page.keyboard.press("r")
            page.wait_for_url("**/console/queue")
        browser.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return exit code 0."""
    own = parser("bench.console", "Response times of the console's pages.")
    own.add_argument("--pictures", type=Path, help="write screenshots to this folder instead")
    options = own.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vouch-console-") as name:
        models = models_of(options, Path(name))
        if options.pictures:
            take_pictures(Path(name), models, options.pictures)
        else:
            measure(Path(name), models, short=options.short)
    return 0


if __name__ == "__main__":
    sys.exit(main())
