"""Errors of the edge itself: the contract's reasons, from one table, for JSON and gRPC callers, without internals."""

import asyncio
import base64
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.scoring_service_pb2 import GetModelInfoRequest
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.error_statuses import STATUSES, reason_name
from runtime.errors import DeadlinePassed, Overloaded, Unavailable, to_status
from testing.servers.processes import ROOT
from testing.servers.replicas import envoy
from testing.waiting import wait_for

OURS = (
    Overloaded("too many requests in flight; retry in a second"),
    Unavailable("upstream service unavailable; retry", reason=ErrorReason.ERROR_REASON_SERVICE_UNAVAILABLE),
    DeadlinePassed("upstream service did not answer in time"),
)
LIMITED = {"VOUCH_EDGE_RATE_LIMIT": "1", "VOUCH_EDGE_ADDRESS_RATE_LIMIT": "0"}
JSON, REVIEW = {"content-type": "application/json"}, "/v1/transactions:review"


def is_up(address: str) -> bool:
    """Return whether the edge answers."""
    try:
        httpx.get(f"http://{address}/nothing")
    except httpx.HTTPError:
        return False
    return True


@pytest.fixture(scope="module")
def standalone_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an edge without services; yield its address."""
    nobody = [f"--{name}=1" for name in ("scorer", "agent", "bridge-ml", "bridge-agent", "console")]
    with envoy(tmp_path_factory.mktemp("lonely") / "log", *nobody) as address:
        wait_for(lambda: is_up(address), what="the edge")
        yield address


@pytest.fixture(scope="module")
def rate_limited_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an edge that allows one request per second and key."""
    with envoy(tmp_path_factory.mktemp("strict") / "log", "--scorer=1", **LIMITED) as address:
        wait_for(lambda: is_up(address), what="the edge")
        yield address


def test_the_configuration_has_our_details() -> None:
    """The details that Envoy sends to gRPC callers equal those of the services."""
    text = (ROOT / "envoy" / "envoy.yaml").read_text()
    found = [
        status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
        for encoded in re.findall(r"grpc-status-details-bin\s+value: (\S+)", text)
    ]
    assert found == [to_status(error) for error in OURS]
    assert all(f'inline_string: "{error.message}"' in text for error in OURS)


@pytest.mark.envoy
@pytest.mark.parametrize(
    ("reason", "status", "request_"),
    [
        ("SERVICE_UNAVAILABLE", 503, {"method": "GET", "url": "/v1/model"}),
        ("SERVICE_UNAVAILABLE", 503, {"method": "POST", "url": REVIEW, "json": {}}),
        ("REQUEST_TOO_LARGE", 413, {"method": "POST", "url": REVIEW, "content": b" " * 5_000_000, "headers": JSON}),
        ("REQUEST_TOO_LARGE", 431, {"method": "GET", "url": "/v1/model", "headers": {"x-long": "x" * 20_000}}),
        ("INVALID_REQUEST", 400, {"method": "GET", "url": "/v1/model", "headers": {"x_under": "score"}}),
        ("INVALID_REQUEST", 415, {"method": "POST", "url": REVIEW, "content": b"{}"}),
    ],
)  # fmt: skip
def test_json_callers_get_a_reason(standalone_edge: str, reason: str, status: int, request_: dict[str, Any]) -> None:
    """The body is google.rpc.Status with the table's code, one ErrorInfo of ours, and no addresses or resets."""
    answer = httpx.request(**request_ | {"url": f"http://{standalone_edge}{request_['url']}"}, timeout=20)
    assert answer.status_code == status and answer.headers["content-type"] == "application/json"
    status_message = json_format.Parse(answer.text, status_pb2.Status())
    info = error_details_pb2.ErrorInfo()
    assert status_message.details[0].Unpack(info) and (info.reason, info.domain) == (reason, "vouch")
    by_name = {reason_name(one): one for one in STATUSES}
    assert status_message.code == STATUSES[by_name[reason]].code.value[0]
    assert not re.search(r"upstream (connect|request)|healthy upstream|reset|127\.0\.0\.1|connect error", answer.text)


@pytest.mark.envoy
def test_callers_over_their_limit_get_a_retry_delay(rate_limited_edge: str) -> None:
    """JSON and gRPC callers get OVERLOADED with a RetryInfo of a second, while another key's calls succeed."""
    with httpx.Client(base_url=f"http://{rate_limited_edge}", headers={"x-api-key": "first"}) as client:
        refused = repeat_until(lambda: client.get("/v1/model"), lambda answer: answer.status_code == 429)
    status = json_format.Parse(refused.text, status_pb2.Status())
    assert refused.headers["retry-after"] == "1"
    assert status.details[1].Is(error_details_pb2.RetryInfo.DESCRIPTOR) and status.code == 8
    with grpc.insecure_channel(rate_limited_edge, [("grpc.enable_retries", 0)]) as channel:
        stub = ScoringServiceStub(channel)

        def call_until_limited(key: str) -> Any:
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetModelInfo(GetModelInfoRequest(), timeout=20, metadata=[("x-api-key", key)])
            return caught.value

        limited = repeat_until(
            lambda: call_until_limited("second"), lambda call: call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        )
        assert rpc_status.from_call(limited) == to_status(OURS[0])
        away = call_until_limited("third")
        assert away.code() == grpc.StatusCode.UNAVAILABLE
        assert rpc_status.from_call(away) == to_status(OURS[1])


def repeat_until(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Repeat a call until its answer is wanted; return it."""
    answers: list[Any] = []

    def found() -> bool:
        answers.append(ask())
        return wanted(answers[-1])

    wait_for(found, what="such an answer")
    return answers[-1]


@pytest.mark.envoy
def test_pages_and_rest_learn_nothing_of_the_inside(standalone_edge: str) -> None:
    """Without services, the console's and REST's paths get 503 and one line."""
    page = httpx.get(f"http://{standalone_edge}/console/")
    assert (page.status_code, page.text) == (503, "upstream service unavailable; retry\n")
    rest = httpx.get(f"http://{standalone_edge}/api/v1/health")
    assert (rest.status_code, rest.json()["detail"]) == (503, "upstream service unavailable; retry")


@pytest.mark.envoy
@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        (JSON, 503, "SERVICE_UNAVAILABLE"),
        ({"content-type": "text/plain"}, 415, "INVALID_REQUEST"),
        (JSON | {"origin": "https://evil.example"}, 403, "ROLE_INSUFFICIENT"),
    ],
)
def test_errors_under_api_are_those_of_rest(
    standalone_edge: str, headers: dict[str, str], status: int, reason: str
) -> None:
    """Errors of the edge under /api have detail, reason and request id, like those of the bridge."""
    sent = headers | {"x-request-id": "my-id_1.2"}
    answer = httpx.post(f"http://{standalone_edge}/api/v1/review", content=b"{}", headers=sent, timeout=20)
    assert answer.status_code == status
    body = answer.json()
    assert set(body) == {"detail", "reason", "request_id"} and body["reason"] == reason, body
    assert body["request_id"] == "my-id_1.2"


@pytest.mark.envoy
@pytest.mark.parametrize("path", ["/api/v1/cases", "/v1/cases"])
async def test_too_many_requests_in_flight_are_an_error_like_others(tmp_path: Path, path: str) -> None:
    """Above a limit of requests in flight the edge answers 429 with reason, request id and a time to retry."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as silent:  # accepts connections, and never answers
        port = silent.getsockname()[1]
        with envoy(tmp_path / "log", f"--agent={port}", f"--bridge-agent={port}") as address:
            await asyncio.to_thread(wait_for, lambda: is_up(address), what="the edge")
            async with httpx.AsyncClient(
                base_url=f"http://{address}", limits=httpx.Limits(max_connections=None)
            ) as client:
                waiting = {asyncio.create_task(client.get(path)) for _ in range(40)}
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for each in waiting:
                    each.cancel()
                await asyncio.wait(waiting)
    answer = done.pop().result()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    body = answer.json()
    if path.startswith("/api/"):
        assert (body["reason"], body["request_id"]) == ("OVERLOADED", answer.headers["x-request-id"])
        assert "retry in a second" in body["detail"]
    else:
        assert (body["code"], body["details"][0]["reason"]) == (8, "OVERLOADED")
