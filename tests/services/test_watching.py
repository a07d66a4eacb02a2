"""Watching cases: over gRPC with its own limit, as server-sent events, through Envoy, and from a cursor."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest

from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from http_bridge.events import encode_events
from load_test.orders import read_orders
from runtime.client.relay import relay_stream
from testing.requests import BOTH, code_of, post
from testing.servers.processes import Stack
from testing.servers.replicas import agent, running
from testing.waiting import START_SECONDS, free_port, wait_for


@pytest.fixture(scope="module")
def open_case(stack: Stack, few: Path) -> str:
    """Open a case and return its id."""
    for number, order in enumerate(read_orders(few)):
        answer = post(stack, BOTH[1], order.body | {"transaction_id": f"watching-{number}"}).json()
        if answer["decision"] == "review":
            return str(answer["case_id"])
    raise AssertionError("no order lies between the thresholds")


def claim_and_release(stack: Stack, case_id: str) -> None:
    """Make two changes."""
    url = f"{stack.url('rest_agent')}/api/v1/cases/{case_id}"
    token = httpx.post(f"{url}/claim", json={}).json()["token"]
    assert httpx.post(f"{url}/release", json={"token": token}).status_code == 200


def test_server_sent_events(stack: Stack, open_case: str) -> None:
    """Each change is an event with its cursor and the case; a client that reconnects with it gets the later ones."""
    url = f"{stack.url('rest_agent')}/api/v1/cases/watch"
    with httpx.stream("GET", url, timeout=START_SECONDS) as watching:
        assert watching.headers["content-type"].startswith("text/event-stream")
        lines = watching.iter_lines()
        assert next(lines).startswith(":")
        begun = next(lines).removeprefix("id: ")
        claim_and_release(stack, open_case)
        found: dict[str, list[str]] = {"id": [], "event": [], "data": []}
        for line in lines:
            name, _, value = line.partition(": ")
            found.get(name, []).append(value)
            if len([one for one in found["data"] if open_case in one]) == 2:
                break
    mine = [place for place, one in enumerate(found["data"]) if open_case in one]
    assert [found["event"][place] for place in mine] == ["claimed", "released"]
    assert json.loads(found["data"][mine[1]])["status"] == "open"
    with httpx.stream("GET", url, headers={"Last-Event-ID": begun}, timeout=START_SECONDS) as watching:
        again = [line for _, line in zip(range(3 + 4 * len(found["id"])), watching.iter_lines(), strict=False)]
    assert [line.removeprefix("id: ") for line in again if line.startswith("id: ")][: 1 + len(found["id"])] == [
        begun, *found["id"],
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["cursor=-1", "cursor=x", "cursor=99999999999999999999", "cursor=99999999999"])
def test_an_invalid_cursor_is_refused(stack: Stack, query: str) -> None:
    """The error is 422, without a stream."""
    answer = httpx.get(f"{stack.url('rest_agent')}/api/v1/cases/watch?{query}", timeout=START_SECONDS)
    assert answer.status_code == 422 and "cursor" in answer.text


def test_through_envoy(stack: Stack, open_case: str) -> None:
    """Over gRPC and canonical JSON, the list's cursor leads to all later changes."""
    edge = stack.url("edge")
    cursor = int(httpx.get(f"{edge}/v1/cases?page_size=1").json()["cursor"])
    claim_and_release(stack, open_case)
    with grpc.insecure_channel(stack.address("edge")) as channel:
        watching = CaseServiceStub(channel).WatchCases(cases.WatchCasesRequest(cursor=cursor), timeout=START_SECONDS)
        seen = [change for _, change in zip(range(3), watching, strict=False)]
        watching.cancel()
    assert [change.kind for change in seen] == [0, cases.CASE_EVENT_KIND_CLAIMED, cases.CASE_EVENT_KIND_RELEASED]
    with httpx.stream("GET", f"{edge}/v1/cases:watch?cursor={cursor}", timeout=START_SECONDS) as answer:
        text = ""
        for part in answer.iter_text():
            text += part
            if "CASE_EVENT_KIND_RELEASED" in text:
                break
    assert open_case in text


def test_watchers_take_no_capacity_of_others(tmp_path: Path) -> None:
    """Above their limit watchers are refused at once; other calls and other streams are answered meanwhile."""
    replica = agent(tmp_path, f"127.0.0.1:{free_port()}")
    replica.settings = {**replica.settings, "VOUCH_AGENT_MAX_WATCHERS": "3", "VOUCH_AGENT_MAX_STREAMS": "1"}
    with running(replica), grpc.insecure_channel(replica.address) as channel:
        wait_for(replica.listening, what="the agent")
        stub = CaseServiceStub(channel)
        watching = [stub.WatchCases(cases.WatchCasesRequest(), timeout=START_SECONDS) for _ in range(3)]
        for each in watching:
            next(each)
        refused = stub.WatchCases(cases.WatchCasesRequest(), timeout=START_SECONDS)
        with pytest.raises(grpc.RpcError) as caught:
            next(refused)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert code_of(stub.ListCases, cases.ListCasesRequest()) == "OK"
        assert list(stub.ExportLabels(cases.ExportLabelsRequest(), timeout=START_SECONDS)) == []
        watching[0].cancel()
        with pytest.raises(grpc.RpcError):
            next(watching[0])

        def one_more() -> bool:
            try:
                return bool(next(stub.WatchCases(cases.WatchCasesRequest(), timeout=START_SECONDS)).cursor >= 0)
            except grpc.RpcError:
                return False

        wait_for(one_more, what="a place for another watcher")


def test_a_watcher_does_not_keep_a_server_from_stopping(models: Path, tmp_path: Path) -> None:
    """SIGTERM ends agent, bridge and the single process despite watchers, without the grace period."""
    for names in (("agent", "rest_agent"), ("one",)):
        stack = Stack(tmp_path, models, settings={"VOUCH_AGENT_DRAIN_SECONDS": "90"})
        url = f"{stack.url('rest_agent')}/api/v1/cases/watch"
        try:
            stack.start(*names)
            wait_for(lambda url=url: _answers(url), what="the stream")  # type: ignore[misc]
            begun, ended = threading.Event(), threading.Event()

            def watch(url: str = url, begun: threading.Event = begun, ended: threading.Event = ended) -> None:
                with httpx.stream("GET", url, timeout=START_SECONDS) as answer:
                    for _ in answer.iter_lines():
                        begun.set()
                ended.set()

            thread = threading.Thread(target=watch)
            thread.start()
            assert begun.wait(START_SECONDS)
            for name in reversed(names):
                assert stack.stop(name) in (0, -15)
            assert ended.wait(START_SECONDS)
            thread.join()
        finally:
            stack.close()


async def test_a_disconnected_watcher_releases_its_capacity() -> None:
    """A caller that disconnects while nothing happens ends the stream behind it and releases its capacity."""
    ended = asyncio.Event()

    async def changes() -> AsyncIterator[cases.WatchCasesResponse]:
        try:
            yield cases.WatchCasesResponse(cursor=1)
            await asyncio.Event().wait()
        finally:
            ended.set()

    call = changes()
    events = encode_events(relay_stream(call, await anext(call), call, asyncio.Event()))
    assert b"id: 1" in await anext(events)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert ended.is_set()


def _answers(url: str) -> bool:
    try:
        with httpx.stream("GET", url, timeout=START_SECONDS) as answer:
            return answer.status_code == 200
    except httpx.HTTPError:
        return False
