"""A stop signal ends a process even if a thread, the event loop or a job hangs."""

import os
import signal
import sys
from pathlib import Path

import pytest

from testing.servers.launching import PYTHON, ROOT, launch
from testing.waiting import wait_for

HANGS = {
    "a thread": "await asyncio.to_thread(stuck.wait)",
    "the event loop": "os.read(os.pipe()[0], 1)",
    "a job": """
while True:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        continue
""",
    "nothing": "await asyncio.sleep(3600)",
}
SERVER = """
import asyncio, os, sys, threading
from ml_server.__main__ import serve
from ml_server.serving import running
from ml_server.settings import MlSettings
from runtime import jobs
from runtime.process import main
from runtime.process import shutdown as ending

ending.GRACE_SECONDS, jobs.CLOSE_SECONDS, stuck = 0.5, 0.2, threading.Event()

async def hanging(*_):
    print("ready", flush=True)
{hang}

running.keep_current = hanging
sys.exit(main.main("ml_server", MlSettings, serve, arguments=[]))
"""
CONSOLE = """
import asyncio, sys, threading
from console import __main__ as console
from runtime.process import shutdown as ending

ending.GRACE_SECONDS, console._GRACE_SECONDS, stuck = 0.5, 0.2, threading.Event()
started = console._Server.startup

async def startup(self, sockets=None):
    await started(self, sockets)
    asyncio.get_running_loop().run_in_executor(None, stuck.wait)
    print("ready", flush=True)

console._Server.startup = startup
sys.exit(console.main([]))
"""
REST = """
import asyncio, sys, threading
import uvicorn
from http_bridge import agent, events
from runtime.process import shutdown as ending

ending.GRACE_SECONDS, events.DRAIN_SECONDS, stuck = 0.5, 0.0, threading.Event()

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        asyncio.get_running_loop().run_in_executor(None, stuck.wait)
        print("ready", flush=True)

Server(uvicorn.Config(agent.app, port=0, log_level="warning")).run()
"""


def stop_and_wait(program: str, folder: Path, number: int = signal.SIGTERM) -> tuple[int, str]:
    """Return exit code and log of a program that is stopped once it is ready."""
    log, output, script = folder / "log", folder / "output", folder / "program.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}")
    environment = os.environ | {
        "VOUCH_MODELS_DIR": str(folder), "VOUCH_ML_LISTEN": "127.0.0.1:0", "VOUCH_ML_METRICS_LISTEN": "",
        "VOUCH_ML_DRAIN_SECONDS": "0.1", "VOUCH_ML_LAME_DUCK_SECONDS": "0", "VOUCH_CONSOLE_LISTEN": "127.0.0.1:0",
    }  # fmt: skip
    with log.open("wb") as errors, output.open("wb") as written:
        process = launch(
            [PYTHON, str(script)], cwd=folder, env=environment, stdout=written.fileno(), stderr=errors.fileno()
        )
    try:
        wait_for(lambda: "ready" in output.read_text() or process.poll() is not None, what="the start")
        process.send_signal(number)
        return process.wait(120), log.read_text()
    finally:
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("hangs", HANGS)
def test_a_server_ends(hangs: str, tmp_path: Path) -> None:
    """SIGTERM ends a server with 0, or, if something hangs, with 1 and the stack of each thread."""
    body = "\n".join(f"    {line}" for line in HANGS[hangs].strip("\n").splitlines())
    code, log = stop_and_wait(SERVER.replace("{hang}", body), tmp_path)
    assert code == (0 if hangs == "nothing" else 1), log
    assert ("most recent call first" in log) == (hangs != "nothing")


@pytest.mark.parametrize("program", [CONSOLE, REST], ids=["console", "rest"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_console_and_rest_end(program: str, number: int, tmp_path: Path) -> None:
    """Console and REST end too while one of their threads hangs."""
    code, log = stop_and_wait(program, tmp_path, number)
    assert code in (1, -number), log  # uvicorn ends by the signal itself if it can
