"""The README stays true."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import vouch
from agent_server.settings import AgentSettings
from contract.fields import FIELDS, LABELS
from http_bridge.settings import HttpSettings
from load_test.keys import VARIABLE as LOAD_KEY
from ml_server.settings import MlSettings
from stack.settings import EdgeSettings, StackSettings
from testing.servers.processes import Stack

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_curl_command_works(stack: Stack) -> None:
    """Each curl example of the README, run as it stands but for the ports, answers 200."""
    commands = re.findall(r"^curl .*?(?=\n(?!  ))", TEXT.replace("\\\n", ""), re.MULTILINE | re.DOTALL)
    assert len(commands) >= 2
    for command in commands:
        if "--cacert" in command:
            continue  # test_production runs it, within its setup
        moved = command.replace("localhost:8000", stack.address("rest_ml"))
        moved = moved.replace("localhost:8001", stack.address("rest_agent")).replace(
            "localhost:8080", stack.address("edge")
        )
        done = subprocess.run(
            [*shlex.split(moved), "-sS", "--fail"], capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 0, (command, done.stderr)
        assert "test-001" in done.stdout


def test_the_python_example_works(stack: Stack) -> None:
    """The gRPC example runs as it stands but for the port."""
    code = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0].replace("localhost:50052", stack.address("agent"))
    exec(compile(code, "README.md", "exec"), {})


def test_every_column_and_setting_is_told() -> None:
    """All 48 columns and all settings stand in the README, and no setting that does not exist."""
    assert all(name in TEXT for name in (*FIELDS, *LABELS))
    known = {"VOUCH_MODELS_DIR", LOAD_KEY}
    for settings in (AgentSettings, HttpSettings, MlSettings, StackSettings, EdgeSettings):
        known |= set(settings.variables().values())
    assert set(re.findall(r"VOUCH_[A-Z_]+[A-Z]", TEXT)) == known


def test_every_command_exists() -> None:
    """Each `vouch` command that the README names is a command, and each make target is a target."""
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"\.venv/bin/vouch ([a-z-]+)", TEXT)) <= vouch.COMMANDS.keys()
    for target in set(re.findall(r"\bmake ([a-z-]+)", TEXT)) - {"sure"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
