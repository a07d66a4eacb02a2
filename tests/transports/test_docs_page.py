"""/docs in a real browser: it renders, loads nothing from other hosts, and "try it out" gets an answer."""

import shutil

import pytest
from playwright.sync_api import Page, sync_playwright

from testing.servers.processes import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def try_operation(page: Page, path: str) -> str:
    """Execute an operation unchanged and return the status that the page shows."""
    operation = page.locator(".opblock", has=page.locator(f"[data-path='{path}']")).first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status").first
    status.wait_for()
    shown_status = status.inner_text().split()[0]
    operation.locator(".opblock-summary-control").click()  # closed again: the page renders all open parts at each step
    return shown_status


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")
def test_every_page_of_docs_can_be_tried(stack: Stack) -> None:
    """The documented examples get 200, as single orders and as lists; no error, nothing from another host."""
    hosts, errors = set[str](), list[str]()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on(
            "request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None
        )
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        for service, paths in (
            ("rest_ml", ("/api/v1/predict", "/api/v1/predict:batch")),
            ("rest_agent", ("/api/v1/review", "/api/v1/review:batch", "/api/v1/decisions")),
        ):
            page.goto(f"{stack.url(service)}/docs")
            page.wait_for_selector(".opblock")
            for path in paths:
                assert try_operation(page, path) == "200", path
        browser.close()
    assert errors == []
    assert hosts == {stack.address("rest_ml"), stack.address("rest_agent")}
