"""The documented production setup, from start to first decision, and the ways it ends."""

import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from testing.inputs.documents import TEXT
from testing.inputs.hostile import ORDER
from testing.servers.processes import PYTHON, ROOT, Stack, answers, launch, run
from testing.servers.replicas import Replica, agent, running, scorer
from testing.waiting import START_SECONDS, free_port, wait_for

BIN = Path(sys.executable).parent


def environment_with_ports(models: Path) -> dict[str, str]:
    """Return an environment for `vouch up` with its own ports."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
    ports = {name: str(free_port()) for name in ("ML", "AGENT", "BRIDGE_ML", "BRIDGE_AGENT", "EDGE", "CONSOLE")}
    return clean | {
        "PATH": f"{BIN}{os.pathsep}{clean.get('PATH', '')}",
        "VOUCH_MODELS_DIR": str(models),
        "VOUCH_ML_LISTEN": f"127.0.0.1:{ports['ML']}",
        "VOUCH_AGENT_LISTEN": f"127.0.0.1:{ports['AGENT']}",
        "VOUCH_ML_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "VOUCH_AGENT_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "VOUCH_STACK_BRIDGE_ML_PORT": ports["BRIDGE_ML"],
        "VOUCH_STACK_BRIDGE_AGENT_PORT": ports["BRIDGE_AGENT"],
        "VOUCH_STACK_EDGE_PORT": ports["EDGE"],
        "VOUCH_CONSOLE_LISTEN": f"127.0.0.1:{ports['CONSOLE']}",
    }


def descendants(pid: int) -> set[int]:
    """Return all descendants of a process."""
    found: set[int] = set()
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it ended since its parent named it
        return found
    for child in children:
        found |= {int(child)} | descendants(int(child))
    return found


def all_ended(pids: set[int]) -> bool:
    """Return whether all have ended."""
    return not any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)


@pytest.mark.envoy
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_documented_production_setup(models: Path, tmp_path: Path) -> None:
    """The documented commands with keys, TLS and two workers run in bash unchanged, and `vouch up` makes a decision.

    When the terminal is closed, it ends with every service.
    """
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    environment = environment_with_ports(models)
    script = next(block for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) if "SHOP_KEY" in block)
    script = script.replace("localhost:8080", f"localhost:{environment['VOUCH_STACK_EDGE_PORT']}")
    with on_a_terminal("bash", "-c", f"{script}\nwait", env=environment, cwd=tmp_path) as (process, leading):
        read_until(leading, '"decision":"deny"', "vouch is up")
        services = descendants(process.pid)
        assert len(services) >= 10
        os.close(leading)
        process.wait(START_SECONDS)
        wait_for(lambda: all_ended(services), what="the end of all services")
    with closing(sqlite3.connect(tmp_path / "vouch_ledger.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM entries").fetchone() == (1,)
    assert (tmp_path / "vouch_api_keys").stat().st_mode & 0o777 == 0o600


@contextmanager
def on_a_terminal(*command: str, env: dict[str, str], cwd: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start a process with its own terminal; yield it and the terminal's other end."""
    leading, following = pty.openpty()
    process = subprocess.Popen(
        [PYTHON, "-c", _LEAD, *command], env=env, cwd=cwd, stdin=following, stdout=following, stderr=following,
        start_new_session=True,
    )  # fmt: skip
    os.close(following)
    try:
        yield process, leading
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


_LEAD = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


def read_until(leading: int, *words: str) -> str:
    """Read a terminal's output until all of some words are there."""
    shown = ""
    while not all(each in shown for each in words):
        shown += os.read(leading, 65_536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_ends_with_its_terminal_and_reloads_without(workers: str, models: Path, tmp_path: Path) -> None:
    """SIGHUP reloads while the terminal is open, and ends the server once it is closed."""
    environment = environment_with_ports(models) | {"VOUCH_ML_WORKERS": workers}
    with on_a_terminal(PYTHON, "-m", "ml_server", env=environment, cwd=ROOT) as (process, leading):
        for _ in range(int(workers)):
            read_until(leading, "serving")
        process.send_signal(signal.SIGHUP)
        assert process.poll() is None
        os.close(leading)
        assert process.wait(START_SECONDS) == 0


def test_a_log_that_nobody_reads_fails_no_request(models: Path, tmp_path: Path) -> None:
    """If the reader of a service's log is gone, errors that would be logged are still answered."""
    stack = Stack(tmp_path, models, settings={"VOUCH_ML_LOG_EVERY": "1", "VOUCH_AGENT_LOG_EVERY": "1"})
    try:
        for name in ("ml", "agent", "rest_ml", "rest_agent"):
            reading, writing = os.pipe()
            stack.running[name] = launch(stack.command(name), env=stack.environment(), stdout=writing, stderr=writing)
            os.close(reading)
            os.close(writing)
        stack.wait_until_healthy()
        url = stack.url("rest_agent") + "/api/v1/review"
        assert httpx.post(url, json=ORDER).status_code == 200
        assert httpx.post(url, json=ORDER | {"currency": "euro"}).status_code == 422
        assert httpx.get(stack.url("rest_agent") + "/api/v1/decisions/none").status_code == 404
        stack.stop("ml")
        unscored = httpx.post(url, json=ORDER | {"transaction_id": "unscored"}, timeout=START_SECONDS)
        assert (unscored.status_code, unscored.json()["degraded"]) == (200, True)
    finally:
        stack.close()


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/ledger.db", "postgresql://127.0.0.1:1/none"])
def test_workers_with_an_unusable_ledger_end(url: str, models: Path, tmp_path: Path) -> None:
    """`agent_server --workers 2` that can never start reports why once and exits with 2, instead of retrying."""
    stack = Stack(tmp_path, models, settings={"VOUCH_AGENT_LEDGER_URL": url})
    done = run("-m", "agent_server", "--workers", "2", env=stack.environment())
    assert done.returncode == 2
    assert "the ledger that VOUCH_AGENT_LEDGER_URL names cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr


def test_four_workers_on_a_fresh_ledger(models: Path, tmp_path: Path) -> None:
    """Four processes that create the same database at once all start, at the first try."""
    replica = Replica(
        "agent_server", "VOUCH_AGENT_", tmp_path, workers=4,
        settings={"VOUCH_AGENT_LEDGER_URL": f"sqlite:///{tmp_path / 'new.db'}"},
    )  # fmt: skip
    with running(replica):
        wait_for(lambda: replica.log.read_text().count('"listening"') == 4, what="four workers")
        assert "worker died" not in replica.log.read_text()


def test_a_worker_that_served_is_replaced_at_once(models: Path, tmp_path: Path) -> None:
    """A worker that has listened is replaced without a pause, each time; one that never did waits longer each time."""
    replica = scorer(tmp_path, models, workers=2)
    with running(replica):
        for _ in range(5):
            wait_for(replica.serving, what="two workers")
            before = set(replica.pids())
            os.kill(min(before), signal.SIGKILL)
            wait_for(lambda before=before: len(set(replica.pids()) - before) == 1, what="another one")  # type: ignore[misc]
        assert '"pause": 0.05' in replica.log.read_text()
        assert len(set(re.findall(r'"pause": ([0-9.]+)', replica.log.read_text()))) == 1


def test_health_reports_a_ledger_without_writes(models: Path, tmp_path: Path) -> None:
    """On a full disk reviews are 503 and health is degraded by REST and by gRPC; with space again both recover."""
    stack = Stack(tmp_path, models)
    path = tmp_path / "ledger.db"
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        url = stack.url("rest_agent")
        path.rename(tmp_path / "elsewhere.db")
        assert httpx.post(f"{url}/api/v1/review", json=ORDER, timeout=START_SECONDS).status_code == 503
        wait_for(stack.agent_is("degraded"), what="a health that tells it")
        health = httpx.get(f"{url}/api/v1/health").json()
        assert (health["ml_service_available"], health["ledger_available"]) == (True, False)
        (tmp_path / "elsewhere.db").rename(path)
        wait_for(stack.agent_is("healthy"), what="recovery")
        assert httpx.post(f"{url}/api/v1/review", json=ORDER, timeout=START_SECONDS).status_code == 200
    finally:
        stack.close()


def test_health_needs_no_key(models: Path, tmp_path: Path) -> None:
    """With keys on agent and scorer, and a bridge without its own key, health is still correct."""
    key = run("-m", "vouch", "keys", "add", "agent", "--file", str(tmp_path / "keys")).stdout.strip()
    settings = {f"VOUCH_{name}_API_KEYS": str(tmp_path / "keys") for name in ("ML", "AGENT")}
    stack = Stack(tmp_path, models, settings=settings | {"VOUCH_AGENT_SCORER_API_KEY": key})
    url = stack.url("rest_agent")
    try:
        stack.start("ml", "agent", "rest_agent")
        wait_for(stack.agent_is("healthy"), what="health without a key")
        assert httpx.post(f"{url}/api/v1/review", json=ORDER).status_code == 401
        answer = httpx.post(f"{url}/api/v1/review", json=ORDER, headers={"x-api-key": key})
        assert answer.status_code == 200
        stack.stop("ml")
        wait_for(stack.agent_is("degraded"), what="a health that names the scorer")
        assert httpx.get(f"{url}/api/v1/health").json()["ledger_available"]
    finally:
        stack.close()


def test_access_logs_hold_no_ids(models: Path, tmp_path: Path) -> None:
    """Uvicorn's access log, started as in docs/how-to/deploy.md, has routes and no caller's input."""
    stack = Stack(tmp_path, models)
    port = str(stack.ports["rest_agent"])
    log = tmp_path / "access.log"
    with log.open("wb") as output:
        command = [PYTHON, "-m", "uvicorn", "http_bridge.agent:app", "--port", port]
        process = launch(command, env=stack.environment(), stdout=output.fileno(), stderr=output.fileno())
    try:
        url = stack.url("rest_agent")
        wait_for(answers(f"{url}/api/v1/health"), what="the bridge")
        httpx.get(f"{url}/api/v1/decisions/CANARY-1")
        httpx.get(f"{url}/api/v1/CANARY/2?user=CANARY")
    finally:
        process.terminate()
        process.wait(START_SECONDS)
    text = log.read_text()
    assert "CANARY" not in text
    assert '"GET /api/v1/decisions/{transaction_id:path} HTTP/1.1" 503' in text
    assert "(no such path)" in text


def test_too_many_watch(models: Path, tmp_path: Path) -> None:
    """Health watchers have a limit; above it one gets RESOURCE_EXHAUSTED, and checks continue."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    replica = agent(tmp_path, "127.0.0.1:1")
    replica.settings = dict(replica.settings) | {"VOUCH_AGENT_MAX_CONCURRENT_STREAMS": "2000"}
    with running(replica), grpc.insecure_channel(replica.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="vouch.v1.AgentService")
        wait_for(lambda: "listening" in replica.log.read_text(), what="the agent")
        watches = [stub.Watch(request) for _ in range(1024)]
        for watch in watches:
            next(watch)
        with pytest.raises(grpc.RpcError) as caught:
            next(stub.Watch(request))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.Check(request, timeout=START_SECONDS).status in (1, 2)
        for watch in watches:
            watch.cancel()
