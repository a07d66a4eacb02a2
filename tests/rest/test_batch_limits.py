"""Limits of batches: the size of a request, when its lines are answered, and how batches share a service's limit."""

import asyncio
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from http_bridge.json.lists import NotAList, split_list
from ml_server.serving.running import SERVICE
from testing.in_process import LocalServices, local_services
from testing.inputs.hostile import ORDER
from testing.waiting import wait_for

REVIEWS = "/api/v1/review:batch"
LINES = {"content-type": "application/x-ndjson"}


def orders(name: str, count: int) -> list[dict[str, Any]]:
    """Return orders with their own ids."""
    return [ORDER | {"transaction_id": f"{name}-{n}", "user_id": f"{name}-{n}"} for n in range(count)]


def lines(many: list[dict[str, Any]]) -> bytes:
    """Return the orders as lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in many)


@pytest.mark.parametrize(
    ("content", "answered", "status", "words"),
    [
        (lines(orders("many", 12)), 10, 413, "more than 10 lines"),
        (b"\n" * 5000, 0, 413, "more than 10 lines"),
        (lines(orders("blank", 2)) + b"\n" * 20, 2, 413, "more than 10 lines"),
        (b"{}\n" * 9, 9, 422, "9 lines are not orders"),
        (
            lines(orders("large", 2)) + b" " * 4000 + b"\n" + lines(orders("rest", 1)),
            None,
            413,
            "more than 4,000 bytes",
        ),
        (lines(orders("whole", 3)), 3, None, ""),
    ],
    ids=["lines", "blank", "orders and blank", "refused", "bytes", "within"],
)
async def test_a_request_ends_at_its_limits(
    tmp_path: Path, content: bytes, answered: int | None, status: int | None, words: str
) -> None:  # fmt: skip
    """Lines, also blank ones, bytes and refusals are limited, plain and packed.

    The last line names the limit, and the lines before it are answered.
    """
    limits = {"max_lines": "10", "max_lines_bytes": "4000", "max_refused_lines": "8"}
    async with (
        local_services(tmp_path / "none", tmp_path, bridge=limits) as services,
        services.client("agent") as client,
    ):
        for sent, headers in ((content, LINES), (gzip.compress(content), LINES | {"content-encoding": "gzip"})):
            answer = await client.post(REVIEWS, content=sent, headers=headers)
            answers = [json.loads(line) for line in answer.text.splitlines()] if answer.is_success else [answer.json()]
            if status is None:
                assert [one["status"] for one in answers] == [200] * (answered or 0)
                continue
            *results, last = answers
            assert (last.get("status", answer.status_code), words in str(last["detail"])) == (status, True), last
            assert last["reason"] == ("REQUEST_TOO_LARGE" if status == 413 else "INVALID_REQUEST")
            assert answered is None or len(results) == answered
            assert all(one["index"] == place for place, one in enumerate(results))


class StreamingCaller:
    """A caller that sends parts on request, and records the answers meanwhile."""

    def __init__(self) -> None:
        self.parts: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self.status, self.received = 0, list[dict[str, Any]]()
        self._news = asyncio.Condition()

    async def receive(self) -> dict[str, Any]:
        """Receive, as in ASGI."""
        body, more = await self.parts.get()
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(self, message: Any) -> None:
        """Send, as in ASGI."""
        self.status = message.get("status", self.status)
        self.received += [json.loads(line) for line in message.get("body", b"").splitlines()]
        async with self._news:
            self._news.notify_all()

    async def wait_for_lines(self, count: int) -> None:
        """Wait until `count` lines have arrived."""
        async with self._news, asyncio.timeout(60):
            await self._news.wait_for(lambda: len(self.received) >= count)

    async def ask(self, services: LocalServices) -> None:
        """Post lines to review:batch."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": REVIEWS, "raw_path": REVIEWS.encode(), "query_string": b"", "root_path": "", "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/x-ndjson")],
        }  # fmt: skip
        await services.apps["agent"](scope, self.receive, self.send)


async def test_each_line_is_answered_before_the_next_one_comes(tmp_path: Path) -> None:
    """A client that waits for each answer gets it; half a line waits for its other half."""
    async with local_services(tmp_path / "none", tmp_path) as services:
        caller = StreamingCaller()
        asking = asyncio.create_task(caller.ask(services))
        for count, order in enumerate(orders("slow", 3), 1):
            line = lines([order])
            caller.parts.put_nowait((line[:20], True))
            caller.parts.put_nowait((line[20:], True))
            await caller.wait_for_lines(count)
        caller.parts.put_nowait((b"", False))
        await asking
        assert [one["status"] for one in caller.received] == [200] * 3


async def test_lines_before_a_pause_are_answered(tmp_path: Path) -> None:
    """Too long a pause ends the request with 408 in its last line, after the answers to all lines before it."""
    async with local_services(tmp_path / "none", tmp_path, bridge={"body_seconds": "0.3"}) as services:
        caller = StreamingCaller()
        caller.parts.put_nowait((lines(orders("paused", 3)) + b'{"transaction_id": "half', True))
        await caller.ask(services)
        assert [one["status"] for one in caller.received] == [200, 200, 200, 408]
        assert caller.received[-1]["reason"] == "DEADLINE_EXCEEDED" and caller.status == 200
        silent = StreamingCaller()
        await silent.ask(services)
        assert silent.status == 408  # nothing was answered, so it has a status of its own


async def test_batches_share_the_limit_of_the_agent(tmp_path: Path) -> None:
    """Two large batches and single reviews, with an agent limited to two calls: none is refused."""
    async with (
        local_services(tmp_path / "none", tmp_path, agent={"max_in_flight": 2}) as services,
        services.client("agent") as client,
    ):
        singles: Counter[int] = Counter()
        done = asyncio.Event()

        async def ask_singly() -> None:
            number = 0
            while not done.is_set() or number < 20:
                number += 1
                answer = await client.post("/api/v1/review", json=ORDER | {"transaction_id": f"single-{number}"})
                singles[answer.status_code] += 1

        single = asyncio.create_task(ask_singly())
        listed, streamed = await asyncio.gather(
            client.post(REVIEWS, json={"transactions": orders("listed", 40)}, timeout=120),
            client.post(REVIEWS, content=lines(orders("streamed", 40)), headers=LINES, timeout=120),
        )
        done.set()
        await single
        results = listed.json()["results"] + [json.loads(line) for line in streamed.text.splitlines()]
        assert Counter(one["status"] for one in results) == {200: 80}
        assert set(singles) == {200}
        assert services.agent.guard.calls.in_use == services.agent.guard.calls.waiting == 0


async def test_batches_share_the_limit_of_the_scorer(models: Path, tmp_path: Path) -> None:
    """Five batches with a scorer limited to one: all orders are scored."""
    async with local_services(models, tmp_path, ml={"max_batches": 1}) as services, services.client("ml") as client:
        scorer: Any = services.scorer
        await asyncio.to_thread(wait_for, lambda: scorer._services[SERVICE].version, what="the model")
        answers = await asyncio.gather(
            *(
                client.post("/api/v1/predict:batch", json={"transactions": orders(f"b{n}", 130)}, timeout=120)
                for n in range(5)
            )
        )
        assert Counter(one["status"] for answer in answers for one in answer.json()["results"]) == {200: 650}


async def list_elements(body: bytes) -> list[bytes]:
    """Return the elements of a list."""
    return [element async for element in split_list(body, "transactions", 5, 1000)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"transactions":[]}', []),
        (b' { "transactions" : [ 1 , null,"a,]}" ] } ', [b"1", b"null", b'"a,]}"']),
        (rb'{"transactions":[{"a":"\\"},{"b":"\"]"}]}', [rb'{"a":"\\"}', rb'{"b":"\"]"}']),
        (b'{"transactions":[[[1],{"x":[2]}],{}]}', [b'[[1],{"x":[2]}]', b"{}"]),
        (b'{"transactions":["' + b"x" * 990 + b'"]}', [b'"' + b"x" * 990 + b'"']),
    ],
)
async def test_a_list_is_split_into_elements(body: bytes, found: list[bytes]) -> None:
    """Elements are split as written, for any content of texts."""
    assert await list_elements(body) == found


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"transactions":[1,]}', "one object whose"),
        (b'{"transactions":[,1]}', "one object whose"),
        (b'{"transactions":[1', "one object whose"),
        (b'{"transactions":["\\', "one object whose"),
        (b'{"transactions":[1]} x', "one object whose"),
        (b'{"transactions":[1],"transactions":[2]}', "one object whose"),
        (b'{"other":[1]}', "one object whose"),
        (b'{"transactions":[' + b"1," * 5 + b"1]}", "at most 5 orders"),
        (b'{"transactions":["' + b"x" * 1000 + b'"]}', "order 0 of the list has more than 1,000 bytes"),
        (b'{"transactions":[1,"' + b"x" * 5000, "order 1 of the list has more than 1,000 bytes"),
        (b'{"transactions":[' + b"[" * 500, "nested too deeply"),
    ],
)
async def test_bodies_that_are_no_list_are_refused_with_a_reason(body: bytes, words: str) -> None:
    """The error is one line that names what is wrong."""
    with pytest.raises(NotAList, match=words):
        await list_elements(body)
