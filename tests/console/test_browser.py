"""The console in a real browser: a shift by keyboard, races, a restart, hostile text, and accessibility."""

import re
from collections.abc import Callable
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from testing.waiting import wait_for
from tests.console.conftest import Desk, WatchedPage

Look = Callable[..., WatchedPage]
HOSTILE = (
    "<script>alert(1)</script>" + "'-alert(1)-'" + "{{7*7}}${7*7}{%raw%}",
    '"><img src=x onerror=alert(1)>' + "<svg/onload=alert(1)>",
    "javascript:alert(1)" + "</textarea><script>alert(1)</script>" + "&#60;b&#62;",
    "\u202egnp.exe",
    "x" * 128,
    "\u2066\u2067\u2068 a" + "<style>*{display:none}</style>",
)
"""Several per text, since each text needs a page; payloads that only work at the start of a text come first."""
WIDTHS = (1280, 320)
PAGES = ("queue", "queue?status=any", "decisions", "overview", "policy", "model", "reviewers")


WEIGHT = (
    "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
    ".reduce((sum, one) => sum + one.decodedBodySize, 0)"
)
"""Size limit of a page with all its parts, in bytes."""


def next_case(page: Page) -> str:
    """Press n and return the address of the case that opens."""
    press(page, "n")
    page.wait_for_url("**/console/cases/**")
    return page.url


def press(page: Page, key: str) -> None:
    """Press a key once the page handles keys."""
    expect(page.locator("html[data-keys]")).to_be_attached()
    page.keyboard.press(key)


def decide(page: Page, key: str) -> str:
    """Comment on the open case and resolve it by a key; return its address, which the page then leaves."""
    case = page.url
    expect(page.locator("svg.waterfall")).to_be_visible()
    press(page, "c")
    page.keyboard.type("Looked at it.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Comment added.")
    page.wait_for_load_state()
    press(page, key)
    page.wait_for_url(re.compile(f"^(?!{re.escape(case)})"))
    return case


def test_a_shift_by_keyboard(desk: Desk, open_page: Look) -> None:
    """Five cases are resolved by keyboard; one is released, one taken over after expiry; the agent restarts."""
    for _ in range(6):
        desk.order(order_amount=1e7)
    ada, ben = open_page(), open_page()
    ada.sign_in(desk.url, "ada")
    page = ada.page
    next_case(page)
    press(page, "r")
    page.wait_for_url("**/console/queue")
    next_case(page)
    done = [decide(page, "ad"[place % 2]) for place in range(2)]
    desk.restart("agent", VOUCH_AGENT_CLAIM_SECONDS="1")
    ben.sign_in(desk.url, "ben")
    left = next_case(ben.page)
    ben.page.goto("about:blank")  # a closed laptop: nothing renews the claim
    desk.restart("agent", VOUCH_AGENT_CLAIM_SECONDS="600")
    page.goto(left)
    wait_for(lambda: _taken(page), what="a claim that ran out")
    done.append(decide(page, "a"))
    done += [decide(page, "ad"[place % 2]) for place in range(2)]
    assert len(set(done)) == 5
    assert left in done
    for case in done:
        page.goto(case)
        expect(page.locator("main")).to_contain_text("by ada")
        expect(page.locator("main")).to_contain_text("Looked at it.")
    assert ada.complaints == []


def _taken(page: Page) -> bool:
    if page.locator("[data-lease]").count():
        return True
    press(page, "t")
    page.wait_for_load_state()
    return bool(page.locator("[data-lease]").count())


def test_two_browsers_race_for_one_case(desk: Desk, open_page: Look) -> None:
    """One of two browsers gets the case; the other is shown the holder, and no input is lost."""
    desk.order(transaction_id="raced", order_amount=1e6)
    ada, ben = open_page(), open_page()
    ada.sign_in(desk.url, "ada")
    ben.sign_in(desk.url, "ben")
    for watched in (ada, ben):
        watched.page.get_by_role("link", name="raced").click()
        watched.page.wait_for_url("**/console/cases/**")
    press(ada.page, "t")
    expect(ada.page.locator("[data-lease]")).to_contain_text("Claimed by you")
    press(ben.page, "t")
    expect(ben.page.locator("main")).to_contain_text("Claimed by ada until")
    assert ben.page.get_by_role("button", name="Approve").count() == 0
    press(ada.page, "r")
    ada.page.wait_for_url("**/console/queue")
    assert ada.complaints == []
    assert ben.complaints == []


def test_a_verdict_can_be_taken_back(desk: Desk, open_page: Look) -> None:
    """Z within the undo window sends nothing; leaving the page sends the verdict."""
    desk.restart("console", VOUCH_CONSOLE_UNDO_SECONDS="60")
    desk.order(order_amount=4e7)
    ada = open_page()
    ada.sign_in(desk.url, "ada")
    case = next_case(ada.page)
    press(ada.page, "a")
    expect(ada.page.locator("#undo")).to_be_visible()
    press(ada.page, "z")
    expect(ada.page.locator("#undo")).to_be_hidden()
    ada.page.reload()
    expect(ada.page.locator("[data-lease]")).to_contain_text("Claimed by you")
    press(ada.page, "a")
    expect(ada.page.locator("#undo")).to_be_visible()
    ada.page.goto(f"{desk.url}/console/decisions")
    wait_for(lambda: "by ada" in _text(ada.page, case), what="the verdict of a page that was left")
    assert ada.complaints == []
    desk.restart("console", VOUCH_CONSOLE_UNDO_SECONDS="0.1")


def _text(page: Page, url: str) -> str:
    page.goto(url)
    return page.locator("main").inner_text()


def test_the_queue_follows_without_jumping(desk: Desk, open_page: Look) -> None:
    """A new case appears by itself; under a pointer the list stays, and a button offers the update."""
    ada = open_page()
    ada.sign_in(desk.url, "ada")
    page = ada.page
    page.mouse.move(0, 0)
    desk.order(transaction_id="comes-alone", order_amount=2e6)
    expect(page.get_by_role("link", name="comes-alone")).to_be_visible()
    page.get_by_role("link", name="comes-alone").hover()
    desk.order(transaction_id="waits-for-me", order_amount=3e6)
    expect(page.locator("#changed")).to_be_visible()
    assert page.get_by_role("link", name="waits-for-me").count() == 0
    page.get_by_role("button", name="The queue has changed").click()
    expect(page.get_by_role("link", name="waits-for-me")).to_be_visible()
    assert ada.complaints == []


def test_hostile_text_is_only_text(desk: Desk, open_page: Look) -> None:
    """Scripts, markup, styles, bidi marks and long words in every text field neither run nor break the page.

    On a desktop and on a phone. Pages weigh at most 150 kB with all their parts, all from this server.
    """
    for number, text in enumerate(HOSTILE):
        desk.order(
            transaction_id=f"{text[:100]}-{number}", user_id=text, device_id=text, user_agent=text,
            extra_texts={"shelf": text}, order_amount=40_000.0 + number,
        )  # fmt: skip
    boss = open_page()
    boss.sign_in(desk.url, "boss")
    page = boss.page
    page.goto(f"{desk.url}/console/queue?order=newest")
    cases = [row.get_attribute("href") for row in page.locator("tr[data-row] a").all()[: len(HOSTILE)]]
    assert len(set(cases)) == len(HOSTILE)
    for place, case in enumerate(cases):
        page.goto(f"{desk.url}{case}")
        assert f"-{len(HOSTILE) - 1 - place}" in page.locator("h1").inner_text()
        _fits(page)
        assert _scripts(page) == 0
        if place == 0:
            press(page, "t")
            expect(page.locator("[data-lease]")).to_contain_text("Claimed by you")
            press(page, "c")
            page.keyboard.insert_text(HOSTILE[0] + HOSTILE[2])
            page.get_by_role("button", name="Add comment").click()
            expect(page.locator("main")).to_contain_text("Comment added.")
            _fits(page)
            assert _scripts(page) == 0
            page.locator("#note").fill("".join(HOSTILE))
            press(page, "Escape")  # before the page handles keys, it would stay in the note, and the next key with it
            press(page, "r")
            page.wait_for_url("**/console/queue")
    for path in PAGES:
        page.goto(f"{desk.url}/console/{path}", wait_until="load")
        assert 10_000 < page.evaluate(WEIGHT) <= 150_000, path
        _fits(page)
        assert _scripts(page) == 0
    assert boss.complaints == []


def _scripts(page: Page) -> int:
    found: int = page.evaluate("document.querySelectorAll('main script, main style, main img').length")
    return found


def _fits(page: Page) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)


def test_pages_are_accessible(desk: Desk, open_page: Look) -> None:
    """Axe finds no violation on any page, in both themes, on a desktop and on a phone."""
    desk.order()
    boss = open_page(reduced_motion="reduce")  # else axe sees colours halfway between two themes
    boss.page.goto(f"{desk.url}/console/sign-in")
    found = _violations(boss.page, "sign-in")
    boss.sign_in(desk.url, "boss")
    next_case(boss.page)
    found |= _violations(boss.page, "case")
    press(boss.page, "?")
    found |= _violations(boss.page, "help")
    boss.page.keyboard.press("Escape")
    press(boss.page, "r")
    boss.page.wait_for_url("**/console/queue")
    for path in PAGES:
        boss.page.goto(f"{desk.url}/console/{path}")
        found |= _violations(boss.page, path)
    boss.page.goto(f"{desk.url}/console/decisions?decision=review")
    boss.page.locator("tr[data-row] a").first.click()
    boss.page.wait_for_url("**/console/decisions/**")
    found |= _violations(boss.page, "decision")
    assert found == {name: [] for name in found}


def _violations(page: Page, name: str) -> dict[str, list[str]]:
    """Return axe's violations of a page, wide in the light theme and narrow in the dark one."""
    found = {}
    page.evaluate(Axe().axe_script)
    seen: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", 1280), ("dark", 320))
    for scheme, width in seen:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        violations = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
        found[f"{name} {scheme} {width}"] = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in violations]
    return found


def test_hours_are_shown_in_the_viewers_zone(desk: Desk, open_page: Look) -> None:
    """A viewer in Kolkata sees half past on every bar, the zone in the heading, and the same hours in the table."""
    desk.order()
    seen = open_page(timezone_id="Asia/Kolkata", locale="en-GB")
    seen.sign_in(desk.url, "ada")
    seen.page.goto(f"{desk.url}/console/overview")
    seen.page.wait_for_function("document.querySelector('[data-zone]').textContent != '(UTC)'")
    assert seen.page.locator("[data-zone]").first.text_content() in ("(Asia/Calcutta)", "(Asia/Kolkata)")
    labels = seen.page.locator("text[data-at]").all_text_contents()
    assert labels and all(re.fullmatch(r"\d\d:30", label) for label in labels), labels
    assert seen.complaints == []
