"""The README and the documents stay true."""

import re
import shlex
import shutil
import subprocess

import pytest

import vouch
from agent_server.settings import AgentSettings
from contract.fields import FIELDS, LABELS
from http_bridge.settings import HttpSettings
from load_test.keys import VARIABLE as LOAD_KEY
from ml_server.settings import MlSettings
from stack.settings import EdgeSettings, StackSettings
from testing.documents import DOCUMENTS, TEXT
from testing.servers.processes import ROOT, Stack


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_curl_command_works(stack: Stack) -> None:
    """Each curl example of the documents, run as it stands but for the ports, answers 200."""
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
    exec(compile(code, "docs/api.md", "exec"), {})


def test_every_column_and_setting_is_told() -> None:
    """All 48 columns and all settings stand in the documents, and no setting that does not exist."""
    assert all(name in TEXT for name in (*FIELDS, *LABELS))
    known = {"VOUCH_MODELS_DIR", LOAD_KEY}
    for settings in (AgentSettings, HttpSettings, MlSettings, StackSettings, EdgeSettings):
        known |= set(settings.variables().values())
    assert set(re.findall(r"VOUCH_[A-Z_]+[A-Z]", TEXT)) == known


def test_every_command_exists() -> None:
    """Each `vouch` command that the documents name is a command, and each make target is a target."""
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"\.venv/bin/vouch ([a-z-]+)", TEXT)) <= vouch.COMMANDS.keys()
    for target in set(re.findall(r"\bmake ([a-z-]+)", TEXT)) - {"sure"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_and_file_is_there() -> None:
    """Each link of a document leads to a file, and each file of ours that one names is there."""
    for document, text in DOCUMENTS.items():
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (document.parent / link).exists(), (document.name, link)
        for name in re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|proto|yaml))`", text):
            assert (ROOT / name).exists(), (document.name, name)
