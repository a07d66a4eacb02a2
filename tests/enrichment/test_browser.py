"""User agents: device type and automation, for real headers, for the generator's, and for hostile texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.language import vocabulary
from enrichment.browser import DESKTOP, MOBILE, TABLET, derive_browser

_MOZILLA, _WEBKIT = "Mozilla/5.0", "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "device", "automated"),
    [
        (f"{_MOZILLA} (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/120.0.0.0 Safari/537.36", DESKTOP, False),
        (f"{_MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Version/17.1 Safari/605.1.15", DESKTOP, False),
        (f"{_MOZILLA} (X11; CrOS x86_64 14541.0.0) {_WEBKIT} Chrome/119.0.0.0 Safari/537.36", DESKTOP, False),
        (f"{_MOZILLA} (iPhone; CPU iPhone OS 17_2 like Mac OS X) {_WEBKIT} Version/17.2 Mobile/15E148", MOBILE, False),
        (f"{_MOZILLA} (iPad; CPU OS 16_6 like Mac OS X) {_WEBKIT} Version/16.6 Mobile/15E148", TABLET, False),
        (f"{_MOZILLA} (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/120.0.0.0 Mobile Safari/537.36", MOBILE, False),
        (f"{_MOZILLA} (Linux; Android 13; SM-X700) {_WEBKIT} Chrome/119.0.0.0 Safari/537.36", TABLET, False),
        (f"{_MOZILLA} (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/120.0.0.0 Safari/537.36", DESKTOP, True),
        (f"{_MOZILLA} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", None, True),
        ("curl/8.4.0", None, True),
        ("python-httpx/0.27.0", None, True),
        (f"{_MOZILLA} (SMART-TV; Linux; Tizen 5.0) AppleWebKit/538.1", None, None),
        (f"{_MOZILLA} (Linux; Android 9; AFTT) {_WEBKIT} Chrome/88 Safari/537.36", None, None),
        ("a shop's own app", None, None),
        ("", None, None),
    ],
)
def test_headers(user_agent: str, device: str | None, automated: bool | None) -> None:
    """Known headers have their device type and say whether they are automated; of others nothing is guessed."""
    found = derive_browser(user_agent)
    assert (found.get("device_type"), found.get("automation_detected")) == (device, automated)


def test_headers_of_the_generator() -> None:
    """Each user agent that the generator writes for a kind of device has this kind, and each of a bot is automated."""
    agents = {
        DESKTOP: vocabulary.DESKTOP_AGENTS, MOBILE: vocabulary.MOBILE_AGENTS, TABLET: vocabulary.TABLET_AGENTS,
    }  # fmt: skip
    for device, headers in agents.items():
        assert [derive_browser(one) for one in headers] == [
            {"device_type": device, "automation_detected": False}
        ] * len(headers)
    assert all(derive_browser(one)["automation_detected"] for one in vocabulary.BOT_AGENTS)


@given(st.text(st.characters(codec="utf-8"), max_size=1100))
def test_hostile_texts(text: str) -> None:
    """No text is an error; a text that is longer than the contract allows tells nothing."""
    found = derive_browser(text)
    assert len(text) <= 1024 or not found
