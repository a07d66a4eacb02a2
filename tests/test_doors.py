"""Hostile input through all doors: a 4xx that names what is wrong, the same at each, and nobody else is disturbed."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.contract import FIELDS
from tests import hostile
from tests.orders import message
from tests.processes import Stack

REST = [("rest_ml", "/api/v1/predict"), ("rest_agent", "/api/v1/review")]
EDGE = [("edge", "/v1/transactions:predict"), ("edge", "/v1/transactions:review"), ("edge", "/api/v1/predict")]
JSON_TYPE = {"content-type": "application/json"}

KNOWN_DIFFERENCES = {
    "flags": 'true and false alone; Envoy also takes texts like "no"',
    "times": "2025-02-11 10:00:00 and no offset at all; Envoy wants T and Z, and also takes an object of seconds and nanos",
    "enums": "mobile; Envoy takes DEVICE_TYPE_MOBILE, its number, and its number as text",
    "fields": "an unknown one is refused; Envoy drops it",
    "syntax": "JSON; Envoy also takes single quotes, bare keys, a trailing comma, and zeros in front",
    "keys": "the same one twice is refused; Envoy takes the last of a required field, and the one that is not null",
}
"""Where the bridge (first) and Envoy's canonical JSON differ. The README lists the same."""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One client, so that a connection that was dropped shows."""
    with httpx.Client(timeout=20) as found:
        yield found


def answered(client: httpx.Client, stack: Stack, door: tuple[str, str], body: bytes, **headers: str) -> httpx.Response:
    """What a door says to a body."""
    return client.post(stack.url(door[0]) + door[1], content=body, headers=JSON_TYPE | headers)


def encoded(order: dict[str, Any]) -> bytes:
    """A body in JSON, also where it holds what JSON has no word for."""
    return json.dumps(order).encode("utf-8", "surrogatepass")


def test_every_hostile_value_of_every_field(client: httpx.Client, stack: Stack) -> None:
    """Boundaries of each type in each field, by REST and by Envoy: 200, or 4xx that names the field; never a 5xx."""
    wrong = []
    number = 0
    for field, order in hostile.bodies():
        for door, refusal in ((REST[0], 422), (EDGE[0], 400)):
            number += 1
            answer = answered(client, stack, door, encoded(order))
            # A list or an object in a field's place Envoy tells without the field's name.
            name = "transaction" if door in EDGE and isinstance(order[field], list | dict) else field
            if answer.status_code != 200 and (answer.status_code != refusal or name not in answer.text):
                wrong.append((door, field, order[field], answer.status_code, answer.text[:200]))
    assert not wrong
    assert number > 1000


def test_doors_agree_where_they_can(client: httpx.Client, stack: Stack) -> None:
    """The same body is accepted by both doors with the same score, or by neither; what differs is on the list."""
    differ = []
    for field, order in hostile.bodies():
        kind, value = FIELDS[field].kind, order[field]
        if kind == "flag" or (kind == "name" and value in (-1, 99, 2**31)) or isinstance(value, dict):
            continue  # KNOWN_DIFFERENCES
        bridge, edge = (answered(client, stack, door, encoded(order)) for door in (REST[0], EDGE[0]))
        if bridge.is_success != edge.is_success or (
            bridge.is_success and bridge.json()["legitimacy_score"] != edge.json()["legitimacy_score"]
        ):
            differ.append((field, value, bridge.status_code, edge.status_code))
    assert not differ


@pytest.mark.parametrize("door", [*REST, *EDGE])
def test_whole_bodies_that_are_no_order(client: httpx.Client, stack: Stack, door: tuple[str, str]) -> None:
    """No JSON, no object, nested, huge, with a key twice: 4xx with a sentence, and the next order is answered."""
    for body in hostile.WHOLE_BODIES:
        if b"somebody else" in body and door in EDGE[:2]:
            continue  # KNOWN_DIFFERENCES: keys
        answer = answered(client, stack, door, body)
        assert 400 <= answer.status_code < 500, (body[:80], answer.text[:200])
        assert answer.json(), body[:80]
        assert len(answer.content) < 16_384, body[:80]
    order = encoded(hostile.ORDER)
    assert answered(client, stack, door, order).status_code == 200


@pytest.mark.parametrize("door", [*REST, EDGE[0], EDGE[2]])
def test_headers_that_nobody_can_carry_on(stack: Stack, door: tuple[str, str]) -> None:
    """Keys, ids and others with tabs, bytes that are no ASCII, 20 kB: never a 5xx, and never a 429."""
    for name, value in hostile.HEADERS:
        headers = [(name, value), (b"content-type", b"application/json")]
        content = encoded(hostile.ORDER)
        answer = httpx.post(stack.url(door[0]) + door[1], content=content, headers=headers, timeout=20)
        refused = 400 <= answer.status_code < 500 and answer.status_code != 429
        assert refused or answer.status_code == 200, (name, value[:20], answer.text)
        if door in REST and name in (b"x-api-key", b"authorization"):
            assert answer.status_code == 422
            assert name.decode() in answer.text


def _exchange(stack: Stack, *requests: bytes) -> bytes:
    """Send requests over one connection, one after another, until the other side has nothing more to say."""
    host, _, port = stack.address("rest_agent").partition(":")
    said = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for request in requests:
            connection.sendall(request)
            while b"\r\n\r\n" not in said or not _whole(said):
                part = connection.recv(65_536)
                if not part:
                    return said
                said += part
            said += b"\n--\n"
    return said


def _whole(said: bytes) -> bool:
    head, _, body = said.rpartition(b"\n--\n")[2].partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0].partition(b":")[2])


def test_a_connection_outlives_an_error(stack: Stack) -> None:
    """After what was a 500, the same connection answers the next request: an edge shares it among callers."""

    def request(**changed: Any) -> bytes:
        body = encoded(hostile.ORDER | changed)
        head = f"POST /api/v1/review HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    bad = [request(successful_logins_7d=2**31), request(timestamp="9999-12-31T23:59:59-23:59")]
    bad.append(request().replace(b"host: x\r\n", b"host: x\r\nx-api-key: a\tb\r\n"))
    for each in bad:
        said = _exchange(stack, each, request(), request())
        assert [part.split(b" ")[1] for part in said.split(b"\n--\n")[:-1]] == [b"422", b"200", b"200"]


def test_one_bad_client_disturbs_nobody(stack: Stack) -> None:
    """Through the edge: of the good requests among bad ones, none fails."""
    with httpx.Client(base_url=stack.url("edge"), timeout=20) as good, httpx.Client(timeout=20) as bad:
        codes = set()
        for _ in range(40):
            spoiled = encoded(hostile.ORDER | {"cards_used_30d": 2**31})
            bad.post(stack.url("edge") + "/api/v1/review", content=spoiled, headers=JSON_TYPE)
            codes.add(good.post("/api/v1/review", content=encoded(hostile.ORDER), headers=JSON_TYPE).status_code)
    assert codes == {200}


def test_nothing_on_the_wire_is_internal(stack: Stack) -> None:
    """Every field with the boundaries of its wire type, by both services: OK, or INVALID_ARGUMENT that names it."""
    with grpc.insecure_channel(stack.address("ml")) as ml, grpc.insecure_channel(stack.address("agent")) as decider:
        predict, review = ScoringServiceStub(ml).Predict, AgentServiceStub(decider).Review
        number = 0
        for field, order in hostile.messages():
            for call, request in (
                (predict, scoring.PredictRequest(transaction=order, explain=True)),
                (review, agent.ReviewRequest(transaction=order)),
            ):
                number += 1
                future: Any = call.future(request, timeout=20)
                if future.code() != grpc.StatusCode.OK:
                    assert future.code() == grpc.StatusCode.INVALID_ARGUMENT, (field, order)
                    assert field in future.details(), (field, order)
    assert number > 500


_any_body = st.dictionaries(
    st.sampled_from(sorted(FIELDS)) | st.text(max_size=12),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.sampled_from(hostile.TIMES),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=4,
    ),
    max_size=6,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed=_any_body)
def test_no_body_whatsoever_is_a_fault_of_ours(client: httpx.Client, stack: Stack, changed: dict[str, Any]) -> None:
    """Whatever is put over an order, each door says 200 or 4xx, and the two REST doors say the same."""
    body = encoded(hostile.ORDER | changed)
    codes = [answered(client, stack, door, body).status_code for door in (*REST, EDGE[0])]
    assert all(code == 200 or 400 <= code < 500 for code in codes)
    assert codes[0] == codes[1]


def test_a_web_page_writes_no_decisions(client: httpx.Client, stack: Stack) -> None:
    """What a page may send to another origin unasked is refused: other content types, foreign origins, bent names."""
    order = encoded(hostile.ORDER | {"transaction_id": "from-a-web-page"})
    for door in (REST[1], EDGE[1], ("edge", "/api/v1/review")):
        url = stack.url(door[0]) + door[1]
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
            "text/json",
        ):
            headers = {"content-type": kind} if kind else {}
            assert client.post(url, content=order, headers=headers).status_code == 415
        for origin in (
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "file://",
            "http://127.0.0.1:1",
        ):
            answer = client.post(url, content=order, headers=JSON_TYPE | {"origin": origin})
            assert answer.status_code == 403, origin
        bent = {"origin": "http://evil.example", "host": "evil.example"}
        assert client.post(url, content=order, headers=JSON_TYPE | bent).status_code == 403
        preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        asked = client.options(url, headers=preflight)
        assert not asked.is_success
        assert "access-control-allow-origin" not in asked.headers
    missing = client.get(stack.url("rest_agent") + "/api/v1/decisions/from-a-web-page")
    assert missing.status_code == 404
    own = {"origin": stack.url("rest_agent")}
    assert answered(client, stack, REST[1], encoded(hostile.ORDER), **own).status_code == 200


def test_ids_with_slashes_are_found_again(client: httpx.Client, stack: Stack) -> None:
    """An id like 2024/0001 is reviewed and fetched, through each door, written out or as %2F."""
    order = encoded(hostile.ORDER | {"transaction_id": "2024/0001"})
    assert answered(client, stack, REST[1], order).status_code == 200
    for path in ("2024/0001", "2024%2F0001"):
        for url in (
            stack.url("rest_agent") + "/api/v1/decisions/",
            stack.url("edge") + "/api/v1/decisions/",
            stack.url("edge") + "/v1/decisions/",
        ):
            answer = client.get(url + path)
            assert answer.status_code == 200, url + path
            assert answer.json()["review"]["transaction_id"] == "2024/0001"


def test_the_edge_answers_in_json(client: httpx.Client, stack: Stack) -> None:
    """Unknown paths, methods and parameters, and bodies Envoy cannot read: a status with a sentence, no value of the order."""
    url = stack.url("edge")
    assert client.get(f"{url}/v1/nothing").status_code == 404
    assert client.get(f"{url}/v1/agent?colour=blue").status_code == 400
    assert client.get(f"{url}/v1/cases?page_size=CANARY").status_code == 400
    answer = client.get(f"{url}/v1/transactions:predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = client.put(f"{url}/v1/agent", headers=JSON_TYPE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    for body in (b'{"order_amount": "CANARY"}', b"CANARY{", b'{"transaction_id": "CANARY\\ud800"}'):
        answer = client.post(f"{url}/v1/transactions:predict", content=body, headers=JSON_TYPE)
        assert answer.status_code == 400
        assert answer.json()["code"] == 3
        assert "CANARY" not in answer.text
    answer = client.post(f"{url}/v1/transactions:predict", content=b"x" * 5_000_000, headers=JSON_TYPE)
    assert (answer.status_code, answer.json()["code"]) == (413, 8)


def test_request_ids_go_through_the_edge(client: httpx.Client, stack: Stack) -> None:
    """The edge keeps the caller's request id, makes one where there is none, and answers with it."""
    for path in ("/v1/transactions:predict", "/api/v1/predict"):
        order = encoded(hostile.ORDER)
        given_id = client.post(stack.url("edge") + path, content=order, headers=JSON_TYPE | {"x-request-id": "trace-7"})
        assert given_id.headers["x-request-id"] == "trace-7"
        assert client.post(stack.url("edge") + path, content=order, headers=JSON_TYPE).headers["x-request-id"]


def test_openapi_tells_keys_and_errors(client: httpx.Client, stack: Stack) -> None:
    """/docs has its Authorize button, and every operation tells the errors that it can give."""
    for service, path in REST:
        document = client.get(stack.url(service) + "/openapi.json").json()
        assert set(document["components"]["securitySchemes"]) == {"x-api-key", "bearer"}
        codes = document["paths"][path]["post"]["responses"].keys()
        assert codes >= {"200", "401", "403", "408", "413", "415", "422", "429", "500", "503", "504"}
    found = document["paths"]["/api/v1/decisions/{transaction_id}"]["get"]["responses"].keys()
    assert found >= {"200", "401", "404", "429"}


def test_many_violations_make_a_small_error(stack: Stack) -> None:
    """A batch of 4,096 bad orders: INVALID_ARGUMENT with 20 violations and the number of the others, by gRPC and Envoy."""
    bad = [message(order_amount=-1.0, currency="x", cards_used_30d=-1, device_type=42) for _ in range(4096)]
    request = scoring.PredictBatchRequest(transactions=bad)
    for address in (stack.address("ml"), stack.address("edge")):
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
            ScoringServiceStub(channel).PredictBatch(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
        rich = rpc_status.from_call(caught.value)
        info, found = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        assert rich.details[0].Unpack(info)
        assert rich.details[1].Unpack(found)
        assert len(found.field_violations) == 20
        assert int(info.metadata["more"]) == 4 * 4096 - 20
        assert rich.ByteSize() < 6000
        assert "and 16,381 more" in caught.value.details()  # type: ignore[operator]


def test_a_list_of_millions_is_not_even_parsed(stack: Stack) -> None:
    """Two bytes an entry: two million orders in four megabytes are refused by their number; garbage is refused as garbage."""
    with grpc.insecure_channel(stack.address("ml")) as channel:
        call: Any = channel.unary_unary("/vouch.v1.ScoringService/PredictBatch")
        for content, words in (
            (b"\x0a\x00" * 2_000_000, "no more than 4096"),
            (b"\x0a\x00" * 9_000 + b"\xff", "no more"),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call(content, timeout=20)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
            assert words in caught.value.details()  # type: ignore[operator]
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff" * 20_000, timeout=20)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
