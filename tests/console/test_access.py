"""Access to the console: no page without a session, and no change except from the person's own pages."""

import os
from pathlib import Path

import httpx
import pytest
from starlette.routing import Mount, Route

from console.application import ROUTES
from console.session_middleware import HEADERS
from console.sessions import Session, Sessions
from console.signed_out import SignedOutSessions
from testing.servers.processes import Stack, answers
from testing.waiting import START_SECONDS, wait_for
from tests.console.conftest import Desk, key_of

READ = (
    "/console/", "/console/queue", "/console/queue/rows", "/console/queue/changes", "/console/cases/{case_id}",
    "/console/decisions", "/console/decisions/{transaction_id:path}", "/console/overview", "/console/policy",
    "/console/model", "/console/reviewers",
)  # fmt: skip
CHANGED = (
    "/console/sign-out", "/console/next", "/console/cases/{case_id}/claim", "/console/cases/{case_id}/renew",
    "/console/cases/{case_id}/release", "/console/cases/{case_id}/resolve", "/console/cases/{case_id}/comment",
)  # fmt: skip
OPEN = ("/console/health", "/console/sign-in", "/console/static")


def with_ids(path: str) -> str:
    """Return a path below /console with values for its parameters."""
    return path.replace("{case_id}", "x").replace("{transaction_id:path}", "x/y").removeprefix("/console")


def test_every_route_is_in_the_tables() -> None:
    """A new route without its row in the access tables fails here."""
    read, changed, is_open = set(), set(), set()
    for route in ROUTES:
        assert isinstance(route, Route | Mount)
        if route.path.startswith(OPEN):
            is_open.add(route.path)
        elif isinstance(route, Route) and "POST" in (route.methods or ()):
            changed.add(route.path)
        else:
            read.add(route.path)
    assert (read - {"/"}, changed, is_open) == (set(READ), set(CHANGED), set(OPEN))


@pytest.mark.parametrize("path", READ)
def test_pages_need_a_session(desk: Desk, path: str) -> None:
    """Without a session every page redirects to the sign-in."""
    answer = desk.client().get(with_ids(path))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")


@pytest.mark.parametrize("path", CHANGED)
def test_changes_need_a_session_its_token_and_our_origin(desk: Desk, path: str) -> None:
    """Without a session, its own token or our origin, nothing is changed."""
    assert desk.client().post(with_ids(path)).headers["location"] == "/console/sign-in"
    ada, ben = desk.signed_in("ada"), desk.signed_in("ben")
    for token in ("", csrf(ben), "é\0", "x" * 200):
        answer = ada.post(with_ids(path), data={"csrf": token})
        assert answer.status_code == 403, token
    own = {"csrf": csrf(ada)}
    for origin in (
        "http://evil.example",
        "null",
        f"http://127.0.0.1:{desk.stack.ports['agent']}",
        desk.url + ".evil.example",
    ):
        assert ada.post(with_ids(path), data=own, headers={"origin": origin}).status_code == 403, origin
    bare = httpx.post(f"{desk.url}{path.replace('{case_id}', 'x')}", data=own, cookies=dict(ada.cookies))
    assert bare.status_code == 403
    assert ada.get("/queue").status_code == 200, "somebody was signed out"


def csrf(client: httpx.Client) -> str:
    """Return the token in a person's pages."""
    return client.get("/queue").text.partition('name="csrf" value="')[2].partition('"')[0]


@pytest.mark.parametrize("key", [key_of("shop"), "", "nobody's", "\0", "x" * 5000, "é"])
def test_only_reviewers_can_sign_in(desk: Desk, key: str) -> None:
    """A shop's key gets the same answer as an unknown one, and no session."""
    client = desk.client()
    answer = client.post("/sign-in", data={"key": key})
    assert answer.status_code == 403
    assert "unknown, or its role may not review cases" in answer.text
    assert not client.cookies


def test_signing_in_and_out(desk: Desk) -> None:
    """The cookie is for this console only and hidden from scripts; after signing out the pages are closed again."""
    client = desk.client()
    set_cookie = client.post("/sign-in", data={"key": key_of("ada")}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/console"} <= set(set_cookie.split("; "))
    assert key_of("ada") not in set_cookie
    by_tls = desk.client().post("/sign-in", data={"key": key_of("ada")}, headers={"x-forwarded-proto": "https"})
    assert "Secure" in by_tls.headers["set-cookie"].split("; ")
    assert client.post("/sign-out", data={"csrf": csrf(client)}).status_code == 303
    assert client.get("/queue").status_code == 303


def test_every_answer_is_strict(desk: Desk) -> None:
    """Pages, refusals and scripts have a policy under which only our own files run."""
    ada = desk.signed_in("ada")
    for path in ("/queue", "/cases/none", "/nothing", "/static/console.js", "/sign-in"):
        answer = ada.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_a_large_form_is_refused(desk: Desk) -> None:
    """A body above the limit of a form is refused without being read to its end."""
    ada = desk.signed_in("ada")
    assert ada.post("/next", data={"csrf": csrf(ada), "note": "x" * 100_000}).status_code == 413


def test_roles_hold_behind_the_pages(desk: Desk) -> None:
    """An auditor can read and not decide; a reviewer does not see the others' statistics."""
    desk.order()
    auditor, ada = desk.signed_in("aud"), desk.signed_in("ada")
    assert "Next case" not in auditor.get("/queue").text
    assert auditor.post("/next", data={"csrf": csrf(auditor)}).status_code == 403
    assert auditor.get("/reviewers").status_code == 200
    assert ada.get("/reviewers").status_code == 403


def sessions(now: list[float], secret: str | None = "s") -> Sessions:
    """Return sessions with a clock of the test."""
    return Sessions(secret, 60, 600, lambda: now[0])


def test_sessions_end() -> None:
    """An idle session ends, and so does one that is kept alive beyond the limit."""
    now = [1000.0]
    box = sessions(now)
    value = box.seal(box.begin("k", "ada", "reviewer"))
    now[0] += 59
    found = box.unseal(value)
    assert isinstance(found, Session)
    now[0] += 2
    assert box.unseal(value) is None
    while found is not None and now[0] < 10_000:  # kept alive
        now[0] += 30
        found = box.unseal(box.seal(found))
    assert 1600 < now[0] < 1700


def test_signing_out_ends_every_copy_of_the_cookie(desk: Desk) -> None:
    """After its person signed out, a copied cookie opens no page and changes nothing; other sessions stay signed in."""
    ada, ben = desk.signed_in("ada"), desk.signed_in("ben")
    copied, token = dict(ada.cookies), csrf(ada)
    thief = desk.client()
    thief.cookies.update(copied)
    assert thief.get("/queue").status_code == 200
    assert ada.post("/sign-out", data={"csrf": token}).status_code == 303
    for path in ("/queue", "/queue/rows", "/overview", "/decisions", "/policy"):
        thief.cookies.update(copied)
        assert thief.get(path).headers["location"] == "/console/sign-in", path
    thief.cookies.update(copied)
    assert thief.post("/next", data={"csrf": token}).headers["location"] == "/console/sign-in"
    assert ben.get("/queue").status_code == 200


def test_signing_out_survives_a_restart_and_reaches_other_consoles(tmp_path: Path) -> None:
    """Consoles that share a key and a file share ended sessions, also after a restart; expired ids are removed."""
    now, path = [1000.0], tmp_path / "signed_out"

    def console() -> Sessions:
        return Sessions("s", 60, 600, lambda: now[0], SignedOutSessions(path, lambda: now[0]))

    first, second = console(), console()
    session, other = first.begin("k", "ada", "reviewer"), first.begin("k", "ada", "reviewer")
    value, other_value = first.seal(session), first.seal(other)
    assert second.unseal(value) is not None
    first.end(session)
    for box in (first, second, console()):
        assert box.unseal(value) is None
        assert box.unseal(other_value) is not None
    now[0] += 601
    for _ in range(1200):
        first.end(first.begin("k", "ada", "reviewer"))
        now[0] += 601
    assert len(path.read_text().splitlines()) < 1100


def test_a_removed_file_of_ended_sessions_stops_nobody(tmp_path: Path) -> None:
    """If the file is removed while the console serves, ended sessions stay ended, and the next one recreates it."""
    path = tmp_path / "signed_out"
    box = Sessions("s", 60, 600, lambda: 1000.0, SignedOutSessions(path, lambda: 1000.0))
    ended, other = box.begin("k", "ada", "reviewer"), box.begin("k", "ben", "reviewer")
    value, other_value = box.seal(ended), box.seal(other)
    box.end(ended)
    path.unlink()
    assert box.unseal(value) is None
    assert box.unseal(other_value) is not None
    box.end(other)
    assert path.exists()
    assert box.unseal(other_value) is None


def test_an_unusable_signed_out_file_stops_the_start(tmp_path: Path) -> None:
    """A folder or a FIFO in place of the file is an error at the start, not an endless wait."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "none" / "file"):
        with pytest.raises(OSError, match=r".+"):
            SignedOutSessions(path)


def test_a_forged_cookie_opens_no_session() -> None:
    """Changed, forged and malformed cookie values open no session."""
    now = [0.0]
    box = sessions(now)
    value = box.seal(box.begin("k", "ada", "reviewer"))
    for bad in (
        "",
        "x",
        value[:-4] + "AAAA",
        value[1:],
        "é",
        sessions(now, "other").seal(box.begin("k", "a", "admin")),
    ):
        assert box.unseal(bad) is None, bad
    assert sessions(now, None).unseal(value) is None


def test_few_claims_are_kept() -> None:
    """A session stays small enough for a cookie, however many cases are claimed."""
    now = [0.0]
    box = sessions(now)
    session = box.begin("k" * 60, "ada", "reviewer")
    for number in range(100):
        session.add_claim(f"{number:032x}", number)
    assert len(box.seal(session)) < 3000
    assert session.claims[f"{99:032x}"] == 99


def test_without_keys_the_console_serves_this_machine_only(tmp_path: Path, models: Path) -> None:
    """Without keys, another host name (DNS rebinding), or an edge forwarding a remote caller, gets no session."""
    stack = Stack(tmp_path, models)
    stack.start("agent", "console")
    try:
        stack.wait_until_healthy()
        url = f"{stack.url('console')}/console/queue"
        wait_for(answers(url), what="a local session")
        page = httpx.get(url)
        assert "local reviewer" in page.text
        assert "Next case" in page.text
        for host in ("evil.example", f"evil.example:{stack.ports['console']}"):
            for cookies in ({}, dict(page.cookies)):
                assert httpx.get(url, headers={"host": host}, cookies=cookies).status_code == 421
        for headers in (
            {"x-forwarded-for": "203.0.113.7"},
            {"x-forwarded-for": "127.0.0.1, 203.0.113.7"},
            {"x-forwarded-for": "0.0.0.0"},
            {"x-forwarded-for": ""},
            {"x-forwarded-for": "localhost.evil.example"},
        ):
            assert httpx.get(url, headers=headers).headers["location"] == "/console/sign-in", headers
            stolen = httpx.get(url, headers=headers, cookies=dict(page.cookies))
            assert stolen.status_code == 403, headers
        assert httpx.get(url, headers={"x-forwarded-for": "127.0.0.1"}).status_code == 200
        stack.start("edge")
        edge = f"{stack.url('edge')}/console"
        wait_for(answers(f"{edge}/health"), what="the console behind the edge")
        assert "local reviewer" in httpx.get(f"{edge}/queue").text
        assert httpx.get(f"{edge}/queue", headers={"host": "evil.example"}).status_code == 421
        forwarded = httpx.get(f"{edge}/queue", headers={"x-forwarded-for": "203.0.113.7"})
        assert forwarded.headers["location"] == "/console/sign-in"
    finally:
        stack.close()


def test_behind_the_edge(desk: Desk) -> None:
    """Through Envoy: signing in, pages, changes from its own origin only, and news of cases."""
    desk.stack.start("edge")
    edge = desk.stack.url("edge")
    wait_for(answers(f"{edge}/console/health"), what="the console behind the edge")
    with httpx.Client(base_url=f"{edge}/console", headers={"origin": edge}, timeout=START_SECONDS) as client:
        assert client.post("/sign-in", data={"key": key_of("ada")}, headers={"origin": desk.url}).status_code == 403
        assert client.post("/sign-in", data={"key": key_of("ada")}).status_code == 303
        assert "Next case" in client.get("/queue").text
        desk.order()
        assert client.post("/next", data={"csrf": csrf(client)}).status_code == 303
        with client.stream("GET", "/queue/changes") as news:
            assert next(news.iter_lines()).startswith("id: ")
    desk.stack.stop("edge")
