"""The shared table of hostile inputs on every route of the console: an answer, never a fault."""

from urllib.parse import quote

import pytest

from testing.inputs.hostile import TEXTS
from tests.console.conftest import Desk
from tests.console.test_access import CHANGED, READ, csrf

FIELDS = ("verdict", "note", "abuse_type", "reason_code", "text", "then")
FILTERS = (
    "status", "reason", "order", "mine", "page", "transaction_id", "user_id", "since", "until", "decision", "model", "policy",
    "cursor",
)  # fmt: skip
_PATHS = [path for path in (*READ, *CHANGED) if "{" in path]


def _encodable(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


@pytest.mark.parametrize("path", _PATHS)
def test_hostile_paths(desk: Desk, path: str) -> None:
    """Every hostile value as an id in a path gets an answer below 500."""
    boss = desk.signed_in("boss")
    token = csrf(boss)
    for text in TEXTS:
        place = (
            path.removeprefix("/console")
            .replace("{case_id}", _encodable(text))
            .replace("{transaction_id:path}", _encodable(text))
        )
        answer = boss.post(place, data={"csrf": token}) if path in CHANGED else boss.get(place)
        assert answer.status_code < 500, (text, answer.status_code)
        assert "<script>alert" not in answer.text


@pytest.mark.parametrize("path", [path for path in READ if "{" not in path and not path.endswith("changes")])
def test_hostile_filters(desk: Desk, path: str) -> None:
    """Every hostile value as a filter gets an answer below 500."""
    boss = desk.signed_in("boss")
    for text in TEXTS:
        answer = boss.get(path.removeprefix("/console"), params=dict.fromkeys(FILTERS, text))
        assert answer.status_code < 500, (text, answer.status_code)
        assert "<script>alert" not in answer.text


def test_hostile_forms(desk: Desk) -> None:
    """A hostile form decides a case only if its fields are valid, and its text stays text."""
    boss = desk.signed_in("boss")
    for text in TEXTS:
        desk.order()
        claimed = boss.post("/next", data={"csrf": csrf(boss)}).headers["location"].removeprefix("/console")
        for action in ("comment", "resolve", "renew", "release"):
            form = dict.fromkeys(FIELDS, text) | {"csrf": csrf(boss)}
            answer = boss.post(f"{claimed}/{action}", data=form)
            assert answer.status_code < 500, (text, action, answer.status_code)
            assert "<script>alert" not in answer.text
        page = boss.get(claimed)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert 'class="badge claimed"' not in page.text, "the case was released"


def test_bodies_that_are_no_form(desk: Desk) -> None:
    """Other content types, broken encodings and endless fields are refused like a form without a token."""
    boss = desk.signed_in("boss")
    for body, kind in (
        (b'{"csrf": 1}', "application/json"), (b"\xff\xfe", "application/x-www-form-urlencoded"), (b"%%%=%", "text/plain"),
        (b"a=1&" * 80, "application/x-www-form-urlencoded"), (b"--x", "multipart/form-data; boundary=x"),
    ):  # fmt: skip
        answer = boss.post("/next", content=body, headers={"content-type": kind})
        assert answer.status_code in (400, 403, 413), (body, answer.status_code)
