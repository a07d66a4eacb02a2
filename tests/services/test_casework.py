"""Cases over all transports: the queue, claims, verdicts; hostile bodies; the terminal."""

import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from load_test.orders import read_orders
from testing.inputs.orders import DOCUMENTED
from testing.requests import BOTH, post
from testing.servers.processes import Stack, run

_JSON = {"content-type": "application/json"}


_numbers = itertools.count()


def cases_of(stack: Stack, bodies: Iterable[dict[str, Any]], limit: int) -> list[tuple[dict[str, Any], str]]:
    """Review orders with new ids until `limit` became cases; return each with the id of its case."""
    found: list[tuple[dict[str, Any], str]] = []
    for body in bodies:
        new = f"casework-{next(_numbers)}"
        answer = post(stack, BOTH[1], body | {"transaction_id": new, "user_id": new}).json()
        if answer["decision"] == "review":
            found.append((body, answer["case_id"]))
        if len(found) == limit:
            return found
    raise AssertionError("too few orders lie between the thresholds")


def between(stack: Stack, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the orders with a score between the thresholds."""
    answer = post(stack, ("rest_ml", f"{BOTH[0][1]}:batch"), {"transactions": bodies}).json()
    scores = [result["result"]["legitimacy_score"] for result in answer["results"]]
    return [body for body, score in zip(bodies, scores, strict=True) if DENY_UP_TO < score < APPROVE_FROM]


@pytest.fixture(scope="module")
def uncertain_orders(stack: Stack, few: Path) -> list[dict[str, Any]]:
    """Return orders that become cases."""
    return [body for body, _ in cases_of(stack, between(stack, [order.body for order in read_orders(few)]), 12)]


@pytest.fixture
def open_cases(stack: Stack, uncertain_orders: list[dict[str, Any]]) -> list[str]:
    """Return the ids of new cases, which no other test has claimed."""
    return [case_id for _, case_id in cases_of(stack, uncertain_orders, 8)]


def step(client: httpx.Client, stack: Stack, path: str, **body: Any) -> httpx.Response:
    """Send one request of casework over REST."""
    return client.post(f"{stack.url('rest_agent')}/api/v1/cases/{path}", json=body, headers=_JSON)


def test_a_case_over_rest(client: httpx.Client, stack: Stack, open_cases: list[str]) -> None:
    """A case is claimed, renewed, commented and denied; the decision names a human, and the history has every event."""
    case_id = open_cases[0]
    claimed = step(client, stack, f"{case_id}/claim").json()
    assert claimed["case"]["status"] == "claimed" and claimed["token"] == 1
    assert step(client, stack, f"{case_id}/renew", token=1).status_code == 200
    assert step(client, stack, f"{case_id}/comment", text="wrong town").json()["event"]["kind"] == "commented"
    late = step(client, stack, f"{case_id}/resolve", token=7, verdict="deny")
    assert late.status_code == 409 and "not the latest" in late.json()["detail"]
    verdict = {"verdict": "deny", "abuse_type": "payment_fraud", "reason_code": "stolen", "note": "card reported"}
    resolved = step(client, stack, f"{case_id}/resolve", token=1, **verdict).json()["case"]
    assert {name: resolved[name] for name in verdict} == verdict and resolved["status"] == "resolved"
    whole = client.get(f"{stack.url('rest_agent')}/api/v1/cases/{case_id}").json()
    assert [event["kind"] for event in whole["events"]] == ["opened", "claimed", "commented", "resolved"]
    recorded = client.get(f"{stack.url('rest_agent')}/api/v1/decisions/{resolved['transaction_id']}").json()["review"]
    assert (recorded["decision"], recorded["decision_maker"], recorded["revision"]) == ("deny", "human", 2)
    assert step(client, stack, f"{case_id}/claim").status_code == 409


def test_a_case_through_envoy(client: httpx.Client, stack: Stack, open_cases: list[str]) -> None:
    """The same requests work as canonical JSON at the edge; labels come as a stream."""
    case_id, edge = open_cases[1], stack.url("edge")
    claimed = client.post(f"{edge}/v1/cases/{case_id}:claim", json={}).json()
    token = claimed["token"]
    body = {"token": token, "verdict": "DECISION_APPROVE"}
    resolved = client.post(f"{edge}/v1/cases/{case_id}:resolve", json=body)
    assert resolved.status_code == 200 and resolved.json()["case"]["status"] == "CASE_STATUS_RESOLVED"
    assert client.post(f"{edge}/v1/cases/{case_id}:release", json={"token": token}).status_code == 400
    labels = client.get(f"{edge}/v1/labels").json()
    assert any(label["transaction"]["transaction_id"] == resolved.json()["case"]["transaction_id"] for label in labels)
    following = client.post(f"{edge}/v1/cases:claimNext", json={}).json()
    assert following["case"]["status"] == "CASE_STATUS_CLAIMED"
    back = client.post(f"{edge}/v1/cases/{following['case']['case_id']}:release", json={"token": following["token"]})
    assert back.json()["case"]["status"] == "CASE_STATUS_OPEN"


def test_the_queue_is_in_order_of_priority(client: httpx.Client, stack: Stack, open_cases: list[str]) -> None:
    """Pages are sorted by priority; the next case is the first that is open and was not released by the caller."""
    url, found, token = f"{stack.url('rest_agent')}/api/v1/cases", [], ""
    while True:
        query: dict[str, str | int] = {"status": "open", "order": "priority", "page_size": 3, "page_token": token}
        page = client.get(url, params=query).json()
        found += page["cases"]
        token = page["next_page_token"]
        if not token:
            break
    still_open = [case for case in open_cases if client.get(f"{url}/{case}").json()["case"]["status"] == "open"]
    assert {case["case_id"] for case in found} >= set(still_open)
    assert len({case["case_id"] for case in found}) == len(found)
    nearly = [case["expected_loss"] for case in found if case["case_id"] in open_cases]  # of one age, so by loss
    assert nearly == sorted(nearly, reverse=True)
    for _ in range(2):
        released = {case["case_id"] for case in found if _was_released(client, f"{url}/{case['case_id']}")}
        taken = step(client, stack, "next").json()
        first = next(case["case_id"] for case in found if case["case_id"] not in released)
        assert taken["case"]["case_id"] == first
        assert step(client, stack, f"{first}/release", token=taken["token"]).status_code == 200


def _was_released(client: httpx.Client, url: str) -> bool:
    """Return whether a case was released: here all reviewers are one, without a name."""
    return "released" in [event["kind"] for event in client.get(url).json()["events"]]


def test_outcomes_are_reported(client: httpx.Client, stack: Stack) -> None:
    """By REST and at the edge, a repeated report is one outcome, the latest is the label; unknown orders are 404."""
    rest, edge = f"{stack.url('rest_agent')}/api/v1/outcomes", f"{stack.url('edge')}/v1/outcomes"
    order = post(stack, BOTH[1], DOCUMENTED | {"transaction_id": "outcome/1"}).json()["transaction_id"]
    bad = {"transaction_id": order, "kind": "chargeback", "occurred_at": "2025-03-20T08:00:00", "source": "bank"}
    first, again = (client.post(rest, json=bad | {"abuse_type": "payment_fraud"}).json() for _ in range(2))
    assert (first["repeated_report"], again["repeated_report"]) == (False, True)
    assert first["outcome"] == again["outcome"]
    good = {**bad, "kind": "OUTCOME_KIND_CONFIRMED_GOOD", "occurred_at": "2025-04-01T00:00:00Z", "source": "support"}
    assert client.post(edge, json=good).json()["outcome"]["kind"] == "OUTCOME_KIND_CONFIRMED_GOOD"
    reported = client.get(rest, params={"transaction_id": order}).json()["outcomes"]
    assert [(outcome["kind"], outcome["source"]) for outcome in reported] == [
        ("chargeback", "bank"),
        ("confirmed_good", "support"),
    ]
    labels = client.get(f"{stack.url('edge')}/v1/labels").json()
    mine = [label for label in labels if label["transaction"]["transaction_id"] == order]
    assert [(label["is_abuse"], label["source"]) for label in mine] == [(False, "support")]
    assert client.post(rest, json=bad | {"transaction_id": "never-decided"}).status_code == 404


def test_outcomes_come_from_a_file(stack: Stack, tmp_path: Path) -> None:
    """Each line is reported once; an error names its line, never raw; a bad file is one line of error."""
    for number in range(3):
        assert post(stack, BOTH[1], DOCUMENTED | {"transaction_id": f"file-{number}"}).status_code == 200
    file, env = tmp_path / "outcomes.csv", stack.environment() | {"VOUCH_CLIENT_AGENT": stack.address("agent")}
    lines = [f"file-{number},chargeback,2025-04-0{number + 1} 10:00:00,bank,payment_fraud" for number in range(3)]
    file.write_text("\n".join(["transaction_id,kind,occurred_at,source,abuse_type", *lines]) + "\n")
    for summary in ("3 reported, 0 known before, 0 refused", "0 reported, 3 known before, 0 refused"):
        done = run("vouch.py", "outcomes", "import", str(file), env=env)
        assert (done.returncode, done.stdout.strip()) == (0, summary), done.stderr
    wrong = [
        "nobody,chargeback,2025-04-01,bank,",
        "file-0,lost\x1b[2J,2025-04-01T00:00:00Z,bank,",
        "file-0,chargeback,soon,bank,",
    ]
    file.write_text("\n".join(["transaction_id,kind,occurred_at,source,abuse_type", *wrong]) + "\n")
    done = run("vouch.py", "outcomes", "import", str(file), env=env)
    assert done.returncode == 1 and "3 refused" in done.stdout and "line 3: kind must be" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    for content in (b"", b"a,b\n1,2\n", b"\xff\xfe", b'transaction_id,kind,occurred_at,source\n"'):
        file.write_bytes(content)
        done = run("vouch.py", "outcomes", "import", str(file), env=env)
        assert done.returncode == 2 and done.stderr.startswith("vouch outcomes: ") and "Traceback" not in done.stderr
    assert run("vouch.py", "outcomes", "import", str(tmp_path / "none"), env=env).returncode == 2


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "lost"}, {"kind": None}, {"kind": 1}, {"occurred_at": "yesterday"}, {"occurred_at": None}, {"occurred_at": 5},
        {"occurred_at": "9999-12-31T23:59:59-23:59"}, {"occurred_at": {}}, {"source": "Our Bank"}, {"source": ""},
        {"source": "x" * 65}, {"abuse_type": "theft"}, {"abuse_type": ["payment_fraud"]}, {"transaction_id": ""},
        {"transaction_id": "x" * 129}, {"transaction_id": "\ud800"}, {"reported_by": "somebody else"},
    ],
    ids=str,
)  # fmt: skip
def test_hostile_outcomes(client: httpx.Client, stack: Stack, change: dict[str, Any]) -> None:
    """A wrong value is 422 and names its field."""
    body = {"transaction_id": "test-001", "kind": "chargeback", "occurred_at": "2025-03-20T08:00:00", "source": "bank"}
    answer = client.post(f"{stack.url('rest_agent')}/api/v1/outcomes", content=json.dumps(body | change), headers=_JSON)
    assert answer.status_code == 422, answer.text
    assert next(iter(change)) in answer.text or "JSON" in answer.text


HOSTILE: tuple[bytes, ...] = (
    b"", b"[]", b"null", b"{", b'{"token": "1"}', b'{"token": 1.5}', b'{"token": true}', b'{"token": -1}', b'{"token": 0}',
    b'{"token": 99999999999999999999}', b'{"token": 1, "verdict": "review"}', b'{"token": 1, "verdict": 2}',
    b'{"token": 1, "verdict": "deny", "abuse_type": "x"}', b'{"token": 1, "verdict": "approve", "abuse_type": "fake_account"}',
    b'{"token": 1, "verdict": "deny", "reason_code": "A B"}', b'{"token": 1, "verdict": "deny", "note": 5}',
    b'{"token": 1, "verdict": "deny", "reviewer": "somebody else"}', b'{"token": 1, "verdict": "deny", "note": "\\ud800"}',
    b'{"case_id": "other", "token": 1}', b'{"__class__": {}}', b'{"text": ""}', b'{"token": NaN}',
    b'{"token": 1, "verdict": "approve", "verdict": "deny"}', b'{"text": "a", "text": "b"}', b"\xff", b"[" * 5000,
    b'{"text": "' + b"x" * 5000 + b'"}',
)  # fmt: skip


def test_hostile_bodies_of_casework(client: httpx.Client, stack: Stack, open_cases: list[str]) -> None:
    """Every request with wrong bodies, to existing and missing cases, is a 4xx with a message, and nothing changes."""
    case_id, base, calls = open_cases[2], f"{stack.url('rest_agent')}/api/v1/cases", 0
    before = client.get(f"{base}/{case_id}").json()
    paths = [
        f"{case}/{name}"
        for case in (case_id, "none", "%00", "x" * 200)
        for name in ("renew", "release", "resolve", "comment")
    ]
    for path in (*paths, "next"):
        for body in HOSTILE if path.startswith((case_id, "none", "next")) else HOSTILE[::5]:
            if path == "next" and not body:
                continue
            answer = client.post(f"{base}/{path}", content=body, headers=_JSON)
            calls += 1
            assert 400 <= answer.status_code < 500, (path, body[:60], answer.text)
            assert answer.json()["detail"], (path, body[:60])
    assert (
        client.post(f"{base}/{case_id}/claim", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    )
    assert client.get(f"{base}/{case_id}").json() == before
    assert calls > 250


def test_the_terminal_works_off_a_queue(stack: Stack, open_cases: list[str]) -> None:
    """`vouch cases` works from list to verdict; a hostile comment is escaped in the terminal; errors are one line."""
    case_id = open_cases[3]
    with_agent = stack.environment() | {"VOUCH_CLIENT_AGENT": stack.address("agent")}

    def cases(*arguments: str, code: int = 0) -> str:
        done = run("vouch.py", "cases", *arguments, env=with_agent)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert case_id in cases("list", "--order", "priority", "--status", "open", "--most", "1000")
    token = cases("claim", case_id).split()[-1]
    cases("comment", case_id, "bell \x07 and \x1b[2J clear")
    shown = cases("show", case_id)
    assert "\x1b" not in shown and "\\x1b[2J" in shown and "legitimacy" in shown
    assert "resolved" in cases("resolve", case_id, "approve", "--token", token, "--note", "known customer")
    assert "case is resolved" in cases("release", case_id, "--token", token, code=1)
    assert "no such case" in cases("show", "none", code=1)
    assert "yours until" in cases("claim", open_cases[4])
    listed = cases("list", "--most", "1000")
    rows = [line.split() for line in listed.splitlines()]
    statuses = [row[1] for row in rows]
    assert set(statuses) == {"open", "claimed", "resolved"}
    assert statuses == sorted(statuses, key=("open", "claimed", "resolved").index)
    queue = [row[0] for row in rows if row[1] == "open"]
    assert queue == [line.split()[0] for line in cases("list", "--status", "open", "--most", "1000").splitlines()]
    assert re.search(r"amount [\d,]+\.\d\d [A-Z]{3}, expected loss [\d,]+\.\d\d [A-Z]{3}", listed)
    table = run("vouch.py", "reviewers", env=with_agent | {"COLUMNS": "80"}).stdout
    assert "(no name)" in table and "…" not in table
    header = next(line for line in table.splitlines() if "reviewer" in line)
    assert all(name in header for name in ("median time", "golden right", "pairs agreed", "wrong of checked"))
    as_json = json.loads(cases("list", "--most", "1000", "--json"))
    assert [(case["case_id"], case["status"]) for case in as_json] == [
        (row[0], f"CASE_STATUS_{row[1].upper()}") for row in rows
    ]
    assert json.loads(cases("--json", "show", case_id))["case"]["case_id"] == case_id
    away = run("vouch.py", "cases", "list", env=with_agent | {"VOUCH_CLIENT_AGENT": "127.0.0.1:1"})
    assert away.returncode == 3 and "cannot be reached" in away.stderr
