"""`vouch serve`: one process with the answers of separate ones, behind the same guard."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.access.keys import digest, new_key
from testing.inputs import hostile
from testing.inputs.orders import DOCUMENTED, message
from testing.requests import BOTH, post
from testing.servers.processes import Stack, answers
from testing.transports import encode_body
from testing.waiting import START_SECONDS, free_port, wait_for


@pytest.fixture(scope="module")
def one(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run everything in one process."""
    with_metrics = {"VOUCH_ML_METRICS_LISTEN": f"127.0.0.1:{free_port()}"}
    started = Stack(tmp_path_factory.mktemp("one"), models, with_metrics)
    started.start("one")
    wait_for(started.agent_is("healthy"), what="the agent of one process")
    yield started
    started.close()


def stable_part(answer: httpx.Response) -> tuple[int, Any]:
    """Return status and body, without the fields that differ in each answer."""
    new = r'"(decision_id|case_id|timestamp|decided_at|replaces_decision_id|revision|request_id)":("[^"]*"|null|\d+)'
    return answer.status_code, re.sub(new, "", answer.text)


def test_it_answers_as_the_separate_ones(stack: Stack, one: Stack, client: httpx.Client) -> None:
    """Hostile values of every field, invalid bodies, and paths get the same status and the same bytes."""
    bodies = [encode_body(order) for _, order in hostile.bodies()][::9] + list(hostile.WHOLE_BODIES)
    json = {"content-type": "application/json"}
    requests = [("POST", *where, body) for body in bodies for where in BOTH]
    requests += [
        ("GET", "rest_agent", f"/api/v1/{path}", b"")
        for path in ("decisions/x", "cases/x", "decisions?page_size=0", "x")
    ]
    differ = []
    for method, name, path, body in requests:
        answers = [client.request(method, side.url(name) + path, content=body, headers=json) for side in (stack, one)]
        separate, alone = map(stable_part, answers)
        if separate != alone:
            differ.append((path, body[:120], separate, alone))
    assert not differ
    assert len(requests) > 200


def test_a_review_is_recorded_and_replayed(one: Stack) -> None:
    """A decision is recorded, read back by id, and replayed for the same order with the header for that."""
    order = DOCUMENTED | {"transaction_id": "one/1"}
    first, again = (post(one, BOTH[1], order) for _ in range(2))
    assert first.status_code == 200 and first.content == again.content
    assert "vouch-replayed" not in first.headers and again.headers["vouch-replayed"] == "true"
    recorded = httpx.get(one.url("rest_agent") + "/api/v1/decisions/one/1")
    assert first.json()["decision_id"] in recorded.text


def test_grpc_is_there_too(one: Stack) -> None:
    """The generated stubs reach the same scorer."""
    with grpc.insecure_channel(one.address("ml")) as channel:
        predict = ScoringServiceStub(channel).Predict
        assert predict(scoring.PredictRequest(transaction=message()), timeout=START_SECONDS).legitimacy_score > 0


def test_the_console_is_there_too(one: Stack) -> None:
    """The console's pages show this process's decisions, and its health is that of a separate process."""
    assert post(one, BOTH[1], DOCUMENTED | {"transaction_id": "on-a-page"}).status_code == 200
    with httpx.Client(base_url=one.url("console"), timeout=START_SECONDS) as client:
        assert client.get("/console/health").json() == {"status": "healthy"}
        assert "on-a-page" in client.get("/console/decisions/on-a-page").text
        for page in ("queue", "overview", "policy", "model", "reviewers"):
            assert client.get(f"/console/{page}").status_code == 200, page


def test_a_console_without_a_port_is_refused(models: Path, tmp_path: Path) -> None:
    """A file instead of a port, which a separate console accepts, ends the start with the setting's name."""
    stack = Stack(tmp_path, models, {"VOUCH_CONSOLE_LISTEN": f"unix:{tmp_path}/console"})
    stack.start("one")
    assert stack.running["one"].wait(START_SECONDS) == 2
    assert "VOUCH_CONSOLE_LISTEN=unix:" in stack.log("one")


def test_in_process_calls_are_counted(one: Stack) -> None:
    """In-process calls are counted in the same metrics as network calls."""
    metrics = f"http://{one.settings['VOUCH_ML_METRICS_LISTEN']}/metrics"
    counted = re.compile(r'grpc_server_handled_total\{grpc_code="OK",grpc_method="Review",[^}]*\} (\d+)')

    def reviews() -> int:
        return int(float(counted.findall(httpx.get(metrics).text)[0]))

    before = reviews()
    for number in range(5):
        assert post(one, BOTH[1], DOCUMENTED | {"transaction_id": f"counted-{number}"}).status_code == 200
    wait_for(lambda: reviews() >= before + 5, what="five reviews in the metrics")


def test_keys_and_roles_apply_in_process(models: Path, tmp_path: Path) -> None:
    """With keys, callers need one, a reviewer cannot score, and a shop can review; SIGTERM exits with 0."""
    keys = {name: new_key() for name in ("shop", "reviewer")}
    file = tmp_path / "keys"
    file.write_text("".join(f"{name}:{digest(key)}:{name}\n" for name, key in keys.items()))
    settings = {f"VOUCH_{part}_API_KEYS": str(file) for part in ("ML", "AGENT", "HTTP")}
    stack = Stack(tmp_path, models, settings | {"VOUCH_AGENT_SCORER_API_KEY": keys["shop"]})
    stack.start("one")
    try:
        wait_for(answers(stack.url("rest_ml") + "/api/v1/health"), what="health of one process")

        def status(where: tuple[str, str], key: str = "") -> int:
            return post(stack, where, DOCUMENTED, headers={"x-api-key": key} if key else {}).status_code

        assert [status(where) for where in BOTH] == [401, 401]
        assert [status(where, keys["reviewer"]) for where in BOTH] == [403, 403]
        assert [status(where, keys["shop"]) for where in BOTH] == [200, 200]
        assert stack.stop("one") == 0
        assert not any(key in stack.log("one") for key in keys.values())
    finally:
        stack.close()


def test_a_taken_port_is_reported(one: Stack, models: Path, tmp_path: Path) -> None:
    """A second process on the same ports ends at once with one line for each."""
    second = Stack(tmp_path, models)
    second.ports.update(one.ports)
    second.start("one")
    assert second.running["one"].wait(START_SECONDS) == 2
    assert f"port {one.ports['rest_ml']} (for bridge_ml) is in use" in second.log("one")
