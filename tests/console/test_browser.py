"""The console in a real browser: a shift by keyboard, races, a restart, hostile text, and what keeps people out."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from testing.waiting import wait_for
from tests.console.conftest import Desk, Watched, start_desk

Look = Callable[..., Watched]
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}{%raw%}",
    "\u202egnp.exe",
    "x" * 128,
    "<svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "'-alert(1)-'",
    "<style>*{display:none}</style>",
    "&#60;b&#62;",
    "\u2066\u2067\u2068 a",
)
PAGES = ("queue", "queue?status=any", "decisions", "overview", "policy", "model", "reviewers")


def next_case(page: Page) -> str:
    """Press n: the address of the case that opens."""
    press(page, "n")
    page.wait_for_url("**/console/cases/**")
    return page.url


def press(page: Page, key: str) -> None:
    """Press a key once the page hears keys."""
    expect(page.locator("html[data-keys]")).to_be_attached()
    page.keyboard.press(key)


def decide(page: Page, key: str) -> str:
    """Read the case that is open, say something about it, decide it by a key: its address, which the page then leaves."""
    case = page.url
    expect(page.locator("svg.waterfall")).to_be_visible()
    press(page, "c")
    page.keyboard.type("Looked at it.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Said.")
    page.wait_for_load_state()
    press(page, key)
    page.wait_for_url(re.compile(f"^(?!{re.escape(case)})"))
    return case


def test_a_shift_by_keyboard(tmp_path: Path, models: Path, look: Look) -> None:
    """Ten cases claimed, read, resolved; one given back, one taken over from a claim that ran out; the agent restarts."""
    desk = start_desk(tmp_path, models)
    try:
        for _ in range(12):
            desk.order()
        ada, ben = look(), look()
        ada.sign_in(desk.url, "ada")
        page = ada.page
        next_case(page)
        press(page, "r")
        page.wait_for_url("**/console/queue")
        next_case(page)
        done = [decide(page, "ad"[place % 2]) for place in range(5)]
        desk.restart_agent(VOUCH_AGENT_CLAIM_SECONDS="1")
        ben.sign_in(desk.url, "ben")
        left = next_case(ben.page)
        ben.page.goto("about:blank")  # a closed laptop: nothing renews the claim
        desk.restart_agent(VOUCH_AGENT_CLAIM_SECONDS="600")
        page.goto(left)
        wait_for(lambda: _taken(page), what="a claim that ran out")
        done.append(decide(page, "a"))
        done += [decide(page, "ad"[place % 2]) for place in range(4)]
        assert len(set(done)) == 10
        assert left in done
        for case in done:
            page.goto(case)
            expect(page.locator("main")).to_contain_text("by ada")
            expect(page.locator("main")).to_contain_text("Looked at it.")
        assert ada.complaints == []
    finally:
        desk.close()


def _taken(page: Page) -> bool:
    if page.locator("[data-lease]").count():
        return True
    press(page, "t")
    page.wait_for_load_state()
    return bool(page.locator("[data-lease]").count())


def test_two_browsers_race_for_one_case(desk: Desk, look: Look) -> None:
    """One of two gets it; the other one is told who has it, and nothing is lost."""
    desk.order(transaction_id="raced", order_amount=1e6)
    ada, ben = look(), look()
    ada.sign_in(desk.url, "ada")
    ben.sign_in(desk.url, "ben")
    for watched in (ada, ben):
        watched.page.get_by_role("link", name="raced").click()
        watched.page.wait_for_url("**/console/cases/**")
    press(ada.page, "t")
    expect(ada.page.locator("[data-lease]")).to_contain_text("Yours")
    press(ben.page, "t")
    expect(ben.page.locator("main")).to_contain_text("ada has it until")
    assert ben.page.get_by_role("button", name="Approve").count() == 0
    press(ada.page, "r")
    ada.page.wait_for_url("**/console/queue")
    assert ada.complaints == []
    assert ben.complaints == []


def test_a_verdict_can_be_taken_back(desk: Desk, tmp_path: Path, look: Look) -> None:
    """Z within the time sends nothing; a page that is left sends what was decided."""
    desk.stack.stop("console")
    desk.stack.settings = {**desk.stack.settings, "VOUCH_CONSOLE_UNDO_SECONDS": "60"}
    desk.stack.start("console")
    desk.stack.wait_until_healthy()
    desk.wait_until_open()
    desk.order(order_amount=4e6)
    ada = look()
    ada.sign_in(desk.url, "ada")
    case = next_case(ada.page)
    press(ada.page, "a")
    expect(ada.page.locator("#undo")).to_be_visible()
    press(ada.page, "z")
    expect(ada.page.locator("#undo")).to_be_hidden()
    ada.page.reload()
    expect(ada.page.locator("[data-lease]")).to_contain_text("Yours")
    press(ada.page, "a")
    expect(ada.page.locator("#undo")).to_be_visible()
    ada.page.goto(f"{desk.url}/console/decisions")
    wait_for(lambda: "by ada" in _text(ada.page, case), what="the verdict of a page that was left")
    assert ada.complaints == []
    desk.stack.settings = {**desk.stack.settings, "VOUCH_CONSOLE_UNDO_SECONDS": "0.1"}
    desk.stack.stop("console")
    desk.stack.start("console")
    desk.stack.wait_until_healthy()
    desk.wait_until_open()


def _text(page: Page, url: str) -> str:
    page.goto(url)
    return page.locator("main").inner_text()


def test_the_queue_follows_without_jumping(desk: Desk, look: Look) -> None:
    """A new case appears by itself; under a pointer the list stays, and a button offers the change."""
    ada = look()
    ada.sign_in(desk.url, "ada")
    page = ada.page
    page.mouse.move(0, 0)
    desk.order(transaction_id="comes-alone", order_amount=2e6)
    expect(page.get_by_role("link", name="comes-alone")).to_be_visible()
    page.get_by_role("link", name="comes-alone").hover()
    desk.order(transaction_id="waits-for-me", order_amount=3e6)
    expect(page.locator("#changed")).to_be_visible()
    assert page.get_by_role("link", name="waits-for-me").count() == 0
    page.get_by_role("button", name="Something changed").click()
    expect(page.get_by_role("link", name="waits-for-me")).to_be_visible()
    assert ada.complaints == []


@pytest.mark.parametrize("width", [1280, 320])
def test_hostile_text_is_only_text(desk: Desk, look: Look, width: int) -> None:
    """Scripts, markup, styles, bidi marks and endless words in every text field: nothing runs, nothing breaks the page."""
    ids = []
    for number, text in enumerate(HOSTILE):
        name = f"{text[:100]}-{width}-{number}"
        desk.order(
            transaction_id=name, user_id=text, device_id=text, user_agent=text,
            extra_texts={"shelf": text}, order_amount=40_000.0 + number,
        )  # fmt: skip
        ids.append(name)
    boss = look(viewport={"width": width, "height": 800})
    boss.sign_in(desk.url, "boss")
    page = boss.page
    for _ in HOSTILE[:4]:
        next_case(page)
        press(page, "c")
        page.keyboard.insert_text(HOSTILE[0] + HOSTILE[7])
        page.get_by_role("button", name="Say it").click()
        page.wait_for_load_state()
        _fits(page, width)
        page.locator("#note").fill("".join(HOSTILE))
        page.keyboard.press("Escape")
        press(page, "r")
        page.wait_for_url("**/console/queue")
    for path in PAGES:
        page.goto(f"{desk.url}/console/{path}")
        _fits(page, width)
    page.goto(f"{desk.url}/console/queue?order=newest")
    assert page.locator("tr[data-row]").count() >= len(HOSTILE)
    for place in range(len(HOSTILE)):
        page.goto(f"{desk.url}/console/queue?order=newest")
        page.locator("tr[data-row] a").nth(place).click()
        page.wait_for_url("**/console/cases/**")
        _fits(page, width)
    assert page.evaluate("document.querySelectorAll('main script, main style, main img').length") == 0
    assert boss.complaints == []


def _fits(page: Page, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_nobody_is_kept_out(desk: Desk, look: Look, scheme: str, width: int) -> None:
    """Axe finds no violation on any page, in both themes, on a desk and on a phone."""
    desk.order()
    boss = look(color_scheme=scheme, viewport={"width": width, "height": 800})
    boss.page.goto(f"{desk.url}/console/sign-in")
    found = {"sign-in": _violations(boss.page)}
    boss.sign_in(desk.url, "boss")
    next_case(boss.page)
    found["case"] = _violations(boss.page)
    press(boss.page, "?")
    found["help"] = _violations(boss.page)
    boss.page.keyboard.press("Escape")
    press(boss.page, "r")
    boss.page.wait_for_url("**/console/queue")
    for path in PAGES:
        boss.page.goto(f"{desk.url}/console/{path}")
        found[path] = _violations(boss.page)
    boss.page.goto(f"{desk.url}/console/decisions?decision=review")
    boss.page.locator("tr[data-row] a").first.click()
    boss.page.wait_for_url("**/console/decisions/**")
    found["decision"] = _violations(boss.page)
    assert found == {name: [] for name in found}


def _violations(page: Page) -> list[str]:
    response = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in response]


def test_pages_are_small_and_ask_nobody_else(desk: Desk, look: Look) -> None:
    """A page with its scripts, styles and pictures weighs at most 150 kB, and every part of it comes from here."""
    desk.order()
    boss = look()
    boss.sign_in(desk.url, "boss")
    for path in PAGES:
        boss.page.goto(f"{desk.url}/console/{path}", wait_until="load")
        weight = boss.page.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".reduce((sum, one) => sum + one.decodedBodySize, 0)"
        )
        assert 10_000 < weight <= 150_000, path
    assert boss.complaints == []
