"""File descriptors: more connections than a process can open block no caller, and calls open no unneeded files."""

import http.client
import importlib.metadata
import resource
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent_server.decider import Decider
from agent_server.ledger import Ledger, open_engine
from agent_server.policies.current import CurrentPolicy
from agent_server.running import scoring_client
from agent_server.services.agent import AgentService
from agent_server.settings import AgentSettings, policy_of
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.access.caller import ANONYMOUS
from runtime.jobs import Jobs
from runtime.web.connections import connection_limit
from testing.servers.processes import PYTHON, ROOT, Stack
from testing.waiting import free_port, wait_for

FILES = 96
_LIMITED = """import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))
os.execv(sys.argv[1], sys.argv[1:])"""


def status(port: int) -> int:
    """Return the status of health; 0 without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/docs")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize("protocol", ["httptools", "h11"])
def test_more_connections_than_files_block_no_caller(tmp_path: Path, protocol: str) -> None:
    """With silent connections beyond the limit of files, others are answered meanwhile and afterwards."""
    port = free_port()
    limited = [PYTHON, "-c", _LIMITED.format(files=FILES), PYTHON, "-m", "uvicorn", "http_bridge.agent:app"]
    command = [*limited, "--port", str(port), "--log-level", "warning", "--http", protocol]
    environment = Stack(tmp_path, tmp_path, {"VOUCH_WEB_HEADER_SECONDS": "600"}).environment()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    silent: list[socket.socket] = []
    try:
        wait_for(lambda: status(port) == 200, what="REST")
        silent += [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(2 * FILES)]
        wait_for(lambda: status(port) == 200, what="an answer beside silent connections")
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < FILES
        assert process.poll() is None
        for each in silent:
            each.close()
        wait_for(lambda: status(port) == 200, what="an answer after them")
    finally:
        for each in silent:
            each.close()
        process.terminate()
        process.wait(60)


def test_the_bound_of_connections_leaves_files() -> None:
    """The connection limits of four listeners in one process leave files for everything else."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert connection_limit(10) == 10
    assert 4 * connection_limit(1_000_000) < files


async def test_a_call_reads_no_package_metadata(tmp_path: Path) -> None:
    """GetAgentInfo neither opens nor searches for the files with packages' versions."""
    settings = AgentSettings.read(listen="127.0.0.1:0", ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger, scoring = Ledger(open_engine(settings.ledger_url)), scoring_client(settings)
    service = AgentService(Decider(scoring, CurrentPolicy(policy_of(settings)), ledger), ledger, scoring, Jobs())
    opened, watched = [0, 0], [0]

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and ".dist-info" in str(arguments[0]):
            opened[watched[0]] += 1

    sys.addaudithook(count)  # it cannot be removed
    try:
        call: Any = SimpleNamespace(caller=ANONYMOUS)
        watched[0] = 1
        answer = await service.GetAgentInfo(pb.GetAgentInfoRequest(), call)
        watched[0] = 0
        assert answer.version == importlib.metadata.version("vouch") and opened[0] > 0
        assert opened[1] == 0
    finally:
        await scoring.close()
        ledger.close()
