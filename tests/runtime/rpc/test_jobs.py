"""Background jobs: each failure is logged, counted and followed by a restart, and health names the job."""

import ast
import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from grpc_health.v1 import health_pb2

from agent_server.running import AGENT, running
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2 as pb
from http_bridge import agent as agent_rest
from http_bridge.application import use_local_stubs
from runtime import jobs as module
from runtime.jobs import FAILING, FAILURES, FAILURES_IN_A_ROW, LONGEST_PAUSE_SECONDS, Jobs
from runtime.rpc.health import failing_jobs
from runtime.rpc.local import LocalHealth
from testing.servers.processes import ROOT
from testing.waiting import free_port

PRODUCTION = (
    "agent_server", "ml_server", "http_bridge", "console", "stack", "runtime", "envoy", "contract", "history", "load_test"
)  # fmt: skip
STARTERS = (
    "create_task",
    "ensure_future",
    "run_in_executor",
    "run_coroutine_threadsafe",
    "call_later",
    "call_at",
    "submit",
    "Thread",
    "start_soon",
)
ALLOWED = {
    ("runtime/jobs.py", "Jobs.add"): "the supervisor itself",
    ("runtime/jobs.py", "watch_in_thread"): "catches, logs and counts every failure, and goes on",
    ("runtime/process/shutdown.py", "limit_shutdown_time"): "passes signals on until the process ends",
    ("agent_server/ledger/writer.py", "Ledger.read"): "awaited by the caller",
    ("runtime/jobs.py", "in_maintenance_thread"): "awaited by the caller",
    ("runtime/client/relay.py", "relay_stream"): "awaited or cancelled before the stream ends",
    ("runtime/rpc/server.py", "Server.__aexit__"): "awaited before the server stops",
    ("runtime/process/workers.py", "Supervisor._stop"): "sends a signal once; there is nothing to restart",
    ("runtime/process/workers.py", "Supervisor._resend_stop"): "sends a signal once; there is nothing to restart",
    ("agent_server/scoring/request_batcher.py", "RequestBatcher._dispatch"): "a timer that starts the next batch",
    (
        "agent_server/scoring/request_batcher.py",
        "RequestBatcher._start_batch",
    ): "_batch_done fails the orders that still wait when it ends",
    ("agent_server/ledger/writer.py", "Ledger.__init__"): "the writer's thread catches and reports every failure",
    ("agent_server/ledger/writer.py", "Ledger.write"): "a timer that fails the write, cancelled when it is answered",
    ("agent_server/database/log_sync.py", "LogSync.__init__"): "the thread catches and reports every failure",
    ("ml_server/serving/service.py", "ScoringService.PredictBatch"): "awaited by the call",
    ("http_bridge/batches.py", "answer_individually"): "gathered by the call",
    ("http_bridge/request_body.py", "read_lines"): "awaited, or cancelled before the body ends",
    ("agent_server/privacy/background.py", "ErasureWork._run"): "awaited by the job `erasure`, which tries again",
    ("runtime/web/connections.py", "_BoundedConnection"): "timers that close a connection",
    ("runtime/web/exposition.py", "Exposition.__init__"): "serves metrics: where it ends, Prometheus misses its target",
    ("agent_server/scoring/client.py", "ScoringClient._is_alive"): "awaited by all callers",
    ("stack/serve.py", "_serve_http"): "awaited on leaving; if it ends earlier, the process stops",
    ("stack/up.py", "_run"): "prints once that all is healthy",
    ("load_test/open_loop.py", "run"): "in a TaskGroup",
}
"""Places that start a task, a thread or a timer outside the supervisor, and why no failure is lost there."""


def _started() -> Iterator[tuple[str, str]]:
    """Return file and function of each place in production code that starts one."""
    for package in PRODUCTION:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from _in(ast.parse(path.read_text()), str(path.relative_to(ROOT)), ())


def _in(node: ast.AST, path: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        names = (*names, node.name)
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in STARTERS:
            yield path, ".".join(names[:2] if names and names[0][0].isupper() else names[:1])
    for child in ast.iter_child_nodes(node):
        yield from _in(child, path, names)


def test_nothing_runs_outside_the_supervisor() -> None:
    """Production code starts a task, a thread or a timer only through Jobs, or where the table names its awaiter."""
    found = set(_started())
    assert sorted(found - ALLOWED.keys()) == [], "add a job to Jobs, or say in ALLOWED who awaits this"
    assert sorted(ALLOWED.keys() - found) == [], "these start nothing any more"


class Time:
    """A clock that advances when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    async def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def supervised_jobs(time: Time) -> Jobs:
    """Return jobs with their own clock."""
    return Jobs(clock=lambda: time.now, sleep=time.sleep)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  no event tells it
            await asyncio.sleep(0.001)


async def test_a_failing_job_is_logged_counted_and_restarted() -> None:
    """Pauses double up to a limit, health names the job from the third failure on, and a success ends that."""
    time, outcomes = Time(), [*[ValueError("u-1 of a person")] * 12, None]
    rounds, seen = iter(outcomes), list[int]()

    async def work() -> None:
        seen.append(len(jobs.failing))
        error = next(rounds, StopIteration)
        if error is StopIteration:
            await asyncio.Event().wait()
        elif error:
            raise error

    before = FAILURES.labels("shaky")._value.get()
    with structlog.testing.capture_logs() as lines:
        async with supervised_jobs(time) as jobs:
            jobs.add("shaky", work, every=7.0)
            await until(lambda: len(seen) == len(outcomes) + 1)
            assert jobs.failing == []
    assert time.slept[:3] == [0.5, 1.0, 2.0]
    assert max(time.slept) == LONGEST_PAUSE_SECONDS
    assert time.slept[-1] == 7.0
    assert seen == [0] * FAILURES_IN_A_ROW + [1] * (len(outcomes) - FAILURES_IN_A_ROW) + [0]
    assert FAILURES.labels("shaky")._value.get() - before == 12
    failed = [line for line in lines if line["event"] == "job failed"]
    assert [line["failures"] for line in failed] == list(range(1, 13))
    assert {(line["job"], line["error"]) for line in failed} == {("shaky", "ValueError")}
    assert "u-1" not in str(lines)
    assert [line["event"] for line in lines][-1] == "job recovered"


async def test_an_endless_job_recovers_by_running() -> None:
    """A job without rounds is restarted when it fails; after running for a while it counts as healthy."""
    time, starts = Time(), list[float]()

    async def work() -> None:
        starts.append(time.now)
        if len(starts) <= FAILURES_IN_A_ROW:
            raise ConnectionError
        await asyncio.Event().wait()

    async with supervised_jobs(time) as jobs:
        jobs.add("endless", work)
        await until(lambda: len(starts) > FAILURES_IN_A_ROW)
        jobs.update_metrics()
        assert (jobs.failing, FAILING.labels("endless")._value.get()) == (["endless"], 1)
        time.now += module.STABLE_SECONDS
        jobs.update_metrics()
        assert (jobs.failing, FAILING.labels("endless")._value.get()) == ([], 0)


async def test_a_cancelled_part_is_a_failure_of_the_job() -> None:
    """If a job's awaited part is cancelled by others, the job goes on; if the supervisor closes, it ends."""
    time, starts, ended = Time(), list[int](), list[str]()

    async def work() -> None:
        starts.append(1)
        if len(starts) == 1:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    async with supervised_jobs(time) as jobs:
        jobs.add("part", work)
        await until(lambda: len(starts) == 2)
        with pytest.raises(ValueError, match="part"):
            jobs.add("part", work)
    assert ended == ["ended"]
    assert not jobs.is_running("part")


async def test_a_job_says_when_its_next_round_is() -> None:
    """A round returns the pause before the next; None is the job's own interval."""
    time, pauses = Time(), iter([0.0, None, 3.0])

    async def work() -> float | None:
        try:
            return next(pauses)
        except StopIteration:
            return await asyncio.Event().wait()

    async with supervised_jobs(time) as jobs:
        jobs.add("paced", work, every=9.0)
        await until(lambda: len(time.slept) == 3)
    assert time.slept == [0.0, 9.0, 3.0]


async def test_health_names_a_job_that_keeps_failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GetAgentInfo, gRPC's health and REST's name the job; the services go on serving."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    settings = AgentSettings.read(
        listen="127.0.0.1:0", metrics_listen="", scorer=f"127.0.0.1:{free_port()}", lame_duck_seconds=0.0,
        ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
    )  # fmt: skip

    async def broken() -> None:
        raise LookupError

    async with running(settings, handle_signals=False) as server:
        server.jobs.add("broken", broken, every=0.01)
        await until(lambda: "broken" in server.jobs.failing)
        stub: Any = server.stub(AGENT)
        info = await stub.GetAgentInfo(pb.GetAgentInfoRequest())
        assert (info.agent_status, list(info.failing_jobs)) == (pb.AGENT_STATUS_DEGRADED, ["broken"])
        health: Any = LocalHealth(server.health)

        async def listed() -> list[str]:
            return failing_jobs(await health.List(health_pb2.HealthListRequest()))

        async with asyncio.timeout(60):
            while await listed() != ["broken"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        serving = health_pb2.HealthCheckRequest(service=AGENT.full_name)
        async with asyncio.timeout(60):
            while (await health.Check(serving)).status != health_pb2.HealthCheckResponse.SERVING:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        app = use_local_stubs(agent_rest.app, {"agent": server.stub(AGENT), "health": health})
        try:
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                    answer = (await client.get("/api/v1/health")).json()
            assert answer["failing_jobs"] == ["broken"]
        finally:
            app.state._state.pop("local_stubs")
        assert set(server.jobs.names) >= {
            "health", "rescoring", "policy", "golden-cases", "review-budget", "case-changes", "case-changes-retention",
            "folding", "metrics", "grpc-threads",
        }  # fmt: skip
