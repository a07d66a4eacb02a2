"""Many orders in one call, as lists and lines, plain and packed: each gets the answer of a single call."""

import gzip
import json
import socket
from typing import Any

import httpx
import pytest

from testing.inputs import hostile
from testing.requests import receive
from testing.servers.processes import Stack
from testing.transports import JSON_TYPE, encode_body

LINES = {"content-type": "application/x-ndjson"}
ENDPOINTS = [
    ("rest_ml", "/api/v1/predict"), ("rest_agent", "/api/v1/review"), ("edge", "/api/v1/predict"), ("edge", "/api/v1/review"),
]  # fmt: skip
BAD: list[dict[str, Any]] = [{"order_amount": -1}, {"colour": "blue"}, {"cards_used_30d": 2**31}, {"timestamp": "soon"}]


def orders(name: str, count: int = 5) -> list[dict[str, Any]]:
    """Return the orders of a batch."""
    return [hostile.ORDER | {"transaction_id": f"{name}-{n}", "user_id": f"{name}-{n}"} for n in range(count)]


def lines(many: list[dict[str, Any]]) -> bytes:
    """Return the orders as lines."""
    return b"".join(encode_body(one) + b"\n" for one in many)


def without_ids(result: Any) -> Any:
    """Return an answer without the fields that differ between any two calls."""
    ignored = {"decision_id", "decided_at", "case_id", "transaction_id", "timestamp", "prediction_id"}
    if isinstance(result, dict):
        return {name: without_ids(value) for name, value in result.items() if name not in ignored}
    return [without_ids(one) for one in result] if isinstance(result, list) else result


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids="".join)
def test_a_batch_answers_as_single_calls_do(client: httpx.Client, stack: Stack, endpoint: tuple[str, str]) -> None:
    """Good and bad orders, as a list and as lines, have the status, result and detail of single calls."""
    url = stack.url(endpoint[0]) + endpoint[1]
    name = f"batch-{endpoint[0]}{endpoint[1][-6:]}"
    many = [one | BAD[place] if place < len(BAD) else one for place, one in enumerate(orders(name, 8))]
    listed = client.post(f"{url}:batch", json={"transactions": many})
    streamed = client.post(f"{url}:batch", content=lines(many), headers=LINES)
    assert (listed.status_code, streamed.status_code) == (200, 200), listed.text
    assert streamed.headers["content-type"].startswith("application/x-ndjson")
    results = listed.json()["results"]
    again = [json.loads(line) for line in streamed.text.splitlines()]
    assert [one["index"] for one in results] == [one["index"] for one in again] == list(range(8))
    for order, result, other in zip(many, results, again, strict=True):
        single = client.post(url, content=encode_body(order), headers=JSON_TYPE)
        assert result["status"] == other["status"] == single.status_code
        if single.status_code == 200:
            assert without_ids(result["result"]) == without_ids(other["result"]) == without_ids(single.json())
        else:
            assert result["detail"] == other["detail"] == single.json()["detail"]


def test_packed_bodies_are_read(client: httpx.Client, stack: Stack) -> None:
    """Gzip, of one order and of lines, gives the same answer; other encodings are refused, and so are invalid bytes."""
    url, order = stack.url("rest_ml") + "/api/v1/predict", encode_body(hostile.ORDER)
    packed = JSON_TYPE | {"content-encoding": "gzip"}
    plain = client.post(url, content=order, headers=JSON_TYPE)
    assert client.post(url, content=gzip.compress(order), headers=packed).json() == plain.json()
    many = client.post(f"{url}:batch", content=gzip.compress(lines(orders("packed"))), headers=LINES | packed | LINES)
    assert [json.loads(line)["status"] for line in many.text.splitlines()] == [200] * 5
    joined = gzip.compress(lines(orders("one", 2))) + gzip.compress(lines(orders("two", 3)))
    many = client.post(f"{url}:batch", content=joined, headers=packed | LINES)
    assert [json.loads(line)["status"] for line in many.text.splitlines()] == [200] * 5
    assert client.post(url, content=gzip.compress(order) + b"more", headers=packed).status_code == 400
    assert client.post(url, content=order, headers=packed).status_code == 400
    assert client.post(url, content=gzip.compress(order)[:-9], headers=packed).status_code == 400
    assert client.post(url, content=order, headers=JSON_TYPE | {"content-encoding": "br"}).status_code == 415


def test_a_decompression_bomb_ends_at_the_limit(client: httpx.Client, stack: Stack) -> None:
    """A body of a gigabyte in a megabyte, also as one line, ends at the limit."""
    bomb = gzip.compress(b" " * (32 << 20))
    packed = {"content-encoding": "gzip"}
    for path, headers, times in (
        ("/api/v1/predict", JSON_TYPE, 1),
        ("/api/v1/predict:batch", JSON_TYPE, 1),
        ("/api/v1/predict:batch", LINES, 10),
    ):
        answer = client.post(stack.url("rest_ml") + path, content=bomb * times, headers=headers | packed)
        assert answer.status_code == 413, (path, answer.text)
    assert client.get(stack.url("rest_ml") + "/api/v1/health").status_code == 200


def test_lines_are_answered_while_they_arrive(stack: Stack) -> None:
    """The first results arrive before the last line is sent, so that no side buffers a whole file."""
    host, _, port = stack.address("rest_ml").partition(":")
    first, last = orders("arriving", 64), orders("arriving-last", 1)

    def chunk(content: bytes) -> bytes:
        return f"{len(content):x}\r\n".encode() + content + b"\r\n"

    head = b"POST /api/v1/predict:batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head + chunk(lines(first)))
        received = b""
        while received.count(b'"index"') < 64:
            received += receive(connection, received)
        assert b'"index":64' not in received
        connection.sendall(chunk(lines(last)) + b"0\r\n\r\n")
        while b'"index":64' not in received:
            received += receive(connection, received)


def test_invalid_batches(client: httpx.Client, stack: Stack) -> None:
    """A body without a list, with too long a list or with other names is 422; an empty list has no results."""
    url = stack.url("rest_agent") + "/api/v1/review:batch"
    for body in (
        b"[]",
        b"{}",
        b"nonsense",
        b'{"transactions": {}}',
        b'{"transactions": [], "more": 1}',
        encode_body({"transactions": [1] * 1001}),
    ):
        answer = client.post(url, content=body, headers=JSON_TYPE)
        assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", "transactions"], body[:40]
    twice = encode_body({"transactions": orders("doubled", 2)}).replace(
        b'"user_id"', b'"user_id": "other", "user_id"', 1
    )
    answer = client.post(url, content=twice, headers=JSON_TYPE)
    assert answer.status_code == 422 and "repeated" in answer.json()["detail"][0]["msg"], answer.text
    assert client.post(url, content=b'{"transactions": []}', headers=JSON_TYPE).json() == {"results": []}
    assert (
        client.post(url, content=b'{"transactions": [1, null, []]}', headers=JSON_TYPE).json()["results"][2]["status"]
        == 422
    )
    assert client.post(url, content=b"\n\n", headers=LINES).text == ""
    assert client.post(url, content=b"x", headers={"content-type": "text/plain"}).status_code == 415


def test_the_same_order_twice_is_one_decision(client: httpx.Client, stack: Stack) -> None:
    """Within one batch too, the second is a replay of the first one's record."""
    one = orders("twice", 1)[0]
    results = client.post(stack.url("rest_agent") + "/api/v1/review:batch", json={"transactions": [one, one]}).json()[
        "results"
    ]
    assert results[0]["result"] == results[1]["result"]


def test_a_caller_may_set_a_deadline(client: httpx.Client, stack: Stack) -> None:
    """The deadline is in seconds or gRPC's notation: past it 504, unreadable 422 with the header's name, else an
    answer.
    """
    url, order = stack.url("rest_agent") + "/api/v1/review", encode_body(hostile.ORDER)
    for name, text, status in (
        ("x-request-timeout", "0", 504), ("x-request-timeout", "0.000001", 504), ("grpc-timeout", "1n", 504),
        ("x-request-timeout", "50", 200), ("x-request-timeout", "25.5", 200), ("grpc-timeout", "30000m", 200),
        ("x-request-timeout", "soon", 422), ("x-request-timeout", "-1", 422), ("grpc-timeout", "50", 200),
        ("grpc-timeout", "1x", 422), ("x-request-timeout", "\u0661", 422),
    ):  # fmt: skip
        headers = [(b"content-type", b"application/json"), (name.encode(), text.encode())]
        answer = client.post(url, content=order, headers=headers)
        assert answer.status_code == status, (name, text, answer.text)
        if status == 422:
            assert answer.json()["detail"][0]["loc"] == ["header", name]
