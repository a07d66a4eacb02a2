"""A ledger locked by another process: every transport reports it once it is known, and no layer retries."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest

from agent_server import running as deciding
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from runtime.client.channels import open_channel
from testing.in_process import bridge_app
from testing.inputs.hostile import ORDER
from testing.inputs.orders import message
from testing.servers.replicas import envoy
from testing.waiting import free_port, wait_for
from tests.transports.work_limits import REST

SECONDS = 60.0
WRITES: Final[dict[str, Any]] = {
    "POST /api/v1/review": ORDER,
    "POST /api/v1/cases/next": {},
    "POST /api/v1/outcomes": {
        "transaction_id": "t", "kind": "chargeback", "occurred_at": "2025-02-11T10:00:00", "source": "bank",
    },
    "POST /api/v1/cases/{case_id}/claim": {},
    "POST /api/v1/cases/{case_id}/renew": {"token": 1},
    "POST /api/v1/cases/{case_id}/release": {"token": 1},
    "POST /api/v1/cases/{case_id}/resolve": {"token": 1, "verdict": "deny"},
    "POST /api/v1/cases/{case_id}/comment": {"text": "x"},
}  # fmt: skip
BATCH: Final = "POST /api/v1/review:batch"


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Any]:
    """Run an agent without a scorer, in this process."""
    settings = AgentSettings.read(
        listen="127.0.0.1:0", metrics_listen="", ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
        scorer=f"127.0.0.1:{free_port()}",
    )  # fmt: skip
    async with deciding.running(settings, handle_signals=False) as server:
        yield server


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a function that locks the ledger: `BEGIN IMMEDIATE`."""
    connection = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


def refusals_of(server: Any) -> int:
    """Return how many calls the server has answered with UNAVAILABLE."""
    return sum(int(counted._codes[grpc.StatusCode.UNAVAILABLE]._value.get()) for counted in server.guard._metrics)


async def test_rest_reports_a_locked_ledger_once_it_is_known(agent: Any, lock: sqlite3.Connection) -> None:
    """Every route that writes answers 503 with LEDGER_UNAVAILABLE after one attempt; routes that read still answer."""
    app = bridge_app("agent", agent=f"127.0.0.1:{agent.port}", timeout_seconds="60")
    routes = [row.removeprefix("agent ") for row in REST if row.startswith("agent ")]
    assert {row for row in routes if row.startswith("POST")} == {*WRITES, BATCH}
    async with app.router.lifespan_context(app), asyncio.timeout(SECONDS):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=SECONDS) as client:
            lock.execute("BEGIN IMMEDIATE")
            before = refusals_of(agent)
            answers = await asyncio.gather(
                *(client.post(row[5:].format(case_id="c"), json=body) for row, body in WRITES.items())
            )
            assert {(answer.status_code, answer.json()["reason"]) for answer in answers} == {
                (503, "LEDGER_UNAVAILABLE")
            }
            assert refusals_of(agent) - before == len(WRITES)
            listed = await client.post("/api/v1/review:batch", json={"transactions": [ORDER]})
            assert [(one["status"], one["reason"]) for one in listed.json()["results"]] == [(503, "LEDGER_UNAVAILABLE")]
            for row in routes:
                if row.startswith("GET") and "watch" not in row:
                    path = row[4:].replace("{transaction_id:path}", "t").replace("{case_id}", "c")
                    query = (
                        {"transaction_id": "t"} if ":links" in path or ":verify" in path or "outcomes" in path else None
                    )
                    answer = await client.get(path, params=query, follow_redirects=True)
                    assert answer.status_code in (200, 404), (row, answer.text)
            lock.execute("ROLLBACK")
            assert (await client.post("/api/v1/review", json=ORDER)).status_code == 200


async def test_grpc_reports_it_too(agent: Any, lock: sqlite3.Connection) -> None:
    """A client that retries UNAVAILABLE makes one call; so does the console, which shares its channel settings."""
    async with open_channel(f"127.0.0.1:{agent.port}") as channel, asyncio.timeout(SECONDS):
        stub = AgentServiceStub(channel)
        lock.execute("BEGIN IMMEDIATE")
        before = refusals_of(agent)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Review(pb.ReviewRequest(transaction=message()), timeout=SECONDS)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert refusals_of(agent) - before == 1


@pytest.mark.envoy
async def test_the_edge_reports_it_too(agent: Any, lock: sqlite3.Connection, tmp_path: Path) -> None:
    """Canonical JSON and gRPC through Envoy get 503 and UNAVAILABLE.

    The attempt that waited for the lock is the only one of its call; later ones are refused at once, so that the edge
    may repeat them a few times.
    """
    with envoy(tmp_path / "envoy.log", f"--agent={agent.port}") as address:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=SECONDS) as client:

            def is_there() -> bool:
                try:
                    return httpx.get(f"http://{address}/v1/agent", timeout=5).status_code == 200
                except httpx.HTTPError:
                    return False

            await asyncio.to_thread(wait_for, is_there, what="the edge")
            lock.execute("BEGIN IMMEDIATE")
            before = refusals_of(agent)
            order = ORDER | {"transaction_id": "edge"}
            answer = await client.post("/v1/transactions:review", json=order)
            assert (answer.status_code, "LEDGER_UNAVAILABLE" in answer.text) == (503, True), answer.text
            assert refusals_of(agent) - before == 1
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await AgentServiceStub(channel).Review(pb.ReviewRequest(transaction=message()), timeout=SECONDS)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert 2 <= refusals_of(agent) - before <= 1 + 6  # one attempt, and five retries of Envoy
