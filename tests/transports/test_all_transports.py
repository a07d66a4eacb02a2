"""All transports: bad clients do not affect others, pages cannot write, ids and errors are handled alike."""

import socket
from typing import Any

import httpx

from testing.inputs import hostile
from testing.servers.processes import Stack
from testing.transports import EDGE, JSON_TYPE, REST, answer_of, encode_body


def _exchange(stack: Stack, *requests: bytes) -> bytes:
    """Send requests over one connection, one after another, and return all answers."""
    host, _, port = stack.address("rest_agent").partition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for request in requests:
            connection.sendall(request)
            while b"\r\n\r\n" not in received or not _whole(received):
                part = connection.recv(65_536)
                if not part:
                    return received
                received += part
            received += b"\n--\n"
    return received


def _whole(received: bytes) -> bool:
    head, _, body = received.rpartition(b"\n--\n")[2].partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0].partition(b":")[2])


def test_a_connection_outlives_an_error(stack: Stack) -> None:
    """After an error, the same connection answers the next request: an edge shares connections among callers."""

    def request(**changed: Any) -> bytes:
        body = encode_body(hostile.ORDER | changed)
        head = "POST /api/v1/review HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    bad = [request(successful_logins_7d=2**31), request(timestamp="9999-12-31T23:59:59-23:59")]
    bad.append(request().replace(b"host: localhost\r\n", b"host: localhost\r\nx-api-key: a\tb\r\n"))
    for each in bad:
        received = _exchange(stack, each, request(), request())
        assert [part.split(b" ")[1] for part in received.split(b"\n--\n")[:-1]] == [b"422", b"200", b"200"]


def test_one_bad_client_disturbs_nobody(stack: Stack) -> None:
    """Through the edge, no good request among bad ones fails."""
    with httpx.Client(base_url=stack.url("edge"), timeout=20) as good, httpx.Client(timeout=20) as bad:
        codes = set()
        for _ in range(40):
            spoiled = encode_body(hostile.ORDER | {"cards_used_30d": 2**31})
            bad.post(stack.url("edge") + "/api/v1/review", content=spoiled, headers=JSON_TYPE)
            codes.add(good.post("/api/v1/review", content=encode_body(hostile.ORDER), headers=JSON_TYPE).status_code)
    assert codes == {200}


def test_a_web_page_writes_no_decisions(client: httpx.Client, stack: Stack) -> None:
    """What a page may send without a preflight is refused: other content types, other origins, DNS rebinding."""
    order = encode_body(hostile.ORDER | {"transaction_id": "from-a-web-page"})
    for endpoint in (REST[1], EDGE[1], ("edge", "/api/v1/review")):
        url = stack.url(endpoint[0]) + endpoint[1]
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
        assert client.post(url, content=order, headers=JSON_TYPE | bent).status_code in (403, 421)
        preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        preflight_answer = client.options(url, headers=preflight)
        assert not preflight_answer.is_success
        assert "access-control-allow-origin" not in preflight_answer.headers
    missing = client.get(stack.url("rest_agent") + "/api/v1/decisions/from-a-web-page")
    assert missing.status_code == 404
    own = {"origin": stack.url("rest_agent")}
    assert answer_of(client, stack, REST[1], encode_body(hostile.ORDER), **own).status_code == 200


def test_ids_with_slashes_are_found_again(client: httpx.Client, stack: Stack) -> None:
    """An id like 2024/0001 is reviewed and fetched over each transport, as is or with %2F."""
    order = encode_body(hostile.ORDER | {"transaction_id": "2024/0001"})
    assert answer_of(client, stack, REST[1], order).status_code == 200
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
    """Unknown paths, methods and parameters, and unreadable bodies, get a status and a message without order values."""
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
    """The edge keeps the caller's request id, creates one if there is none, and returns it."""
    for path in ("/v1/transactions:predict", "/api/v1/predict"):
        order = encode_body(hostile.ORDER)
        given_id = client.post(stack.url("edge") + path, content=order, headers=JSON_TYPE | {"x-request-id": "trace-7"})
        assert given_id.headers["x-request-id"] == "trace-7"
        assert client.post(stack.url("edge") + path, content=order, headers=JSON_TYPE).headers["x-request-id"]


def test_openapi_has_keys_and_errors(client: httpx.Client, stack: Stack) -> None:
    """/docs has its Authorize button, and every operation lists its errors."""
    for service, path in REST:
        document = client.get(stack.url(service) + "/openapi.json").json()
        assert set(document["components"]["securitySchemes"]) == {"x-api-key", "bearer"}
        codes = document["paths"][path]["post"]["responses"].keys()
        assert codes >= {"200", "401", "403", "408", "413", "415", "422", "429", "500", "503", "504"}
    found = document["paths"]["/api/v1/decisions/{transaction_id}"]["get"]["responses"].keys()
    assert found >= {"200", "401", "404", "429"}
