"""A console in front of real services, and a real browser if one is installed."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, expect, sync_playwright

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from runtime.access.keys import digest
from testing.inputs.orders import ALL_DOCUMENTED, message
from testing.servers.processes import Stack
from testing.waiting import START_SECONDS, wait_for

PEOPLE = {"shop": "shop", "ada": "reviewer", "ben": "reviewer", "aud": "auditor", "boss": "admin"}
ALL_TO_PEOPLE = {
    "VOUCH_AGENT_APPROVE_THRESHOLD": "0.99999", "VOUCH_AGENT_DENY_THRESHOLD": "0.00001", "VOUCH_AGENT_SECOND_REVIEWS": "0",
}  # fmt: skip
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def key_of(name: str) -> str:
    """Return the key of a person."""
    return f"vouch_key_of_{name}"


@dataclass
class Desk:
    """Services with keys, and a console in front of them."""

    stack: Stack
    sent: int = 0
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the URL of the console."""
        return self.stack.url("console")

    def order(self, **fields: Any) -> pb.ReviewResponse:
        """Submit an order that becomes a case."""
        self.sent += 1
        own = {"transaction_id": f"order-{self.sent}", "user_id": f"u-{self.sent % 7}", "device_id": "dev-1"}
        given = own | {name: ALL_DOCUMENTED[name] for name in ("email_domain", "billing_country", "currency")} | fields
        with grpc.insecure_channel(self.stack.address("agent")) as channel:
            answer: pb.ReviewResponse = AgentServiceStub(channel).Review(
                pb.ReviewRequest(transaction=message(**given)), metadata=(("x-api-key", key_of("shop")),),
                timeout=START_SECONDS, wait_for_ready=True,
            )  # fmt: skip
        return answer

    def client(self) -> httpx.Client:
        """Return a client without scripts: it keeps cookies and sends the origin of its changes."""
        self.clients.append(
            httpx.Client(base_url=f"{self.url}/console", headers={"origin": self.url}, timeout=START_SECONDS)
        )
        return self.clients[-1]

    def wait_until_open(self) -> None:
        """Wait until the console reaches the agent."""
        client = self.client()
        wait_for(
            lambda: client.post("/sign-in", data={"key": key_of("aud")}).status_code == 303, what="somebody signed in"
        )
        wait_for(lambda: client.get("/queue").status_code == 200, what="the queue")

    def restart(self, service: str, **settings: str) -> None:
        """Replace the agent or the console by a new process."""
        self.stack.stop(service, START_SECONDS)
        self.stack.settings = {**self.stack.settings, **settings}
        self.stack.start(service)
        self.stack.wait_until_healthy()
        self.wait_until_open()

    def close(self) -> None:
        """Stop everything."""
        for client in self.clients:
            client.close()
        self.stack.close()

    def signed_in(self, name: str) -> httpx.Client:
        """Return a client that has signed in."""
        client = self.client()
        answer = client.post("/sign-in", data={"key": key_of(name)})
        assert answer.status_code == 303, answer.text
        return client


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Desk]:
    """Run one desk for all tests of the console, in New York: times must not depend on the server's zone."""
    folder = tmp_path_factory.mktemp("console")
    keys = folder / "keys"
    keys.write_text("".join(f"{name}:{digest(key_of(name))}:{role}\n" for name, role in PEOPLE.items()))
    own = {"VOUCH_AGENT_API_KEYS": str(keys), "VOUCH_CONSOLE_UNDO_SECONDS": "0.1", "TZ": "America/New_York"}
    stack = Stack(folder, models, ALL_TO_PEOPLE | own)
    found = Desk(stack)
    try:
        stack.start("ml", "agent", "console")
        stack.wait_until_healthy()
        found.wait_until_open()
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run headless Chromium; not per session: while it is open, this thread can run no other event loop."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
    expect.set_options(timeout=START_SECONDS * 1000)  # tests wait for events, however slow the machine
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@dataclass
class WatchedPage:
    """A page whose errors, refused scripts, dialogs and requests to other hosts are recorded."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def error(self, error: Error) -> None:
        """Record an error of a script."""
        self.complaints.append(f"error {error}")

    def dialog(self, dialog: Dialog) -> None:
        """Record a dialog, which no page of ours opens."""
        self.complaints.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def record_message(self, entry: ConsoleMessage) -> None:
        """Record the browser's warnings and errors, also on refused scripts and styles, but not on refused pages."""
        if entry.type in ("error", "warning") and "Failed to load resource" not in entry.text:
            self.complaints.append(entry.text)

    def record_request(self, request: Request) -> None:
        """Record a request to another host."""
        if "127.0.0.1" not in request.url and not request.url.startswith(("about:", "blob:")):
            self.complaints.append(f"asked {request.url}")

    def sign_in(self, url: str, name: str) -> None:
        """Sign in as a person does."""
        self.page.goto(f"{url}/console/")
        expect(self.page.locator("input[name=key]")).to_be_focused()  # input before that is lost
        self.page.keyboard.type(key_of(name))
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/console/queue")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., WatchedPage]]:
    """Return a function that opens a page with its own cookies; close all pages at the end."""
    contexts = []

    def opened(**options: Any) -> WatchedPage:
        context = browser.new_context(**options)
        context.set_default_timeout(START_SECONDS * 1000)
        contexts.append(context)
        page = context.new_page()
        watched = WatchedPage(page)
        page.on("pageerror", watched.error)
        page.on("dialog", watched.dialog)
        page.on("console", watched.record_message)
        page.on("request", watched.record_request)
        return watched

    yield opened
    for context in contexts:
        context.close()
