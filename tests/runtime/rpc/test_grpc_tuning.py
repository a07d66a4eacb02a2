"""Settings of gRPC's core, and the priority of its threads."""

import os
import subprocess
import sys

import pytest

from runtime.rpc.grpc_tuning import EXPERIMENTS
from testing.servers.processes import run

_FIRST = """
import os, sys
class Watch:
    def find_spec(self, name, *more):
        if name == "grpc":
            print("grpc with", os.environ.get("GRPC_EXPERIMENTS"), flush=True)
            os._exit(0)  # what would be loaded from here on takes most of a start
sys.meta_path.insert(0, Watch())
import {module}
"""
_THREADS = """
import asyncio, os, grpc.aio
from runtime.rpc.grpc_tuning import lower_grpc_thread_priority
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    before = os.getpriority(os.PRIO_PROCESS, 0)
    changed = lower_grpc_thread_priority(5)
    nice = [os.getpriority(os.PRIO_PROCESS, int(task)) for task in os.listdir("/proc/self/task")]
    print(changed > 0, nice.count(5) == changed, os.getpriority(os.PRIO_PROCESS, 0) == before)
    await server.stop(None)
asyncio.run(main())
"""


@pytest.mark.parametrize("module", ["ml_server.__main__", "agent_server.__main__", "http_bridge.ml"])
def test_grpc_is_configured_before_it_is_loaded(module: str) -> None:
    """The core reads its experiments once, when it is loaded; a value set by the user is kept."""
    assert f"grpc with {EXPERIMENTS}" in run("-c", _FIRST.format(module=module)).stdout
    chosen = run("-c", _FIRST.format(module=module), env=os.environ | {"GRPC_EXPERIMENTS": ""})
    assert "grpc with \n" in chosen.stdout


def test_grpc_knows_its_experiments() -> None:
    """The pinned gRPC accepts the names; it reports unknown ones."""
    script = "import runtime, grpc; grpc.insecure_channel('127.0.0.1:1').close()"
    assert "Unknown experiment" not in run("-c", script).stderr
    done = run("-c", script, env=os.environ | {"GRPC_EXPERIMENTS": "no_such_thing"})
    assert "Unknown experiment: no_such_thing" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_threads_of_grpc_have_a_lower_priority() -> None:
    """Threads of gRPC have a lower priority, and Python's threads keep theirs."""
    done = subprocess.run([sys.executable, "-c", _THREADS], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["True", "True", "True"], done.stderr
