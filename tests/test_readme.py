"""The README and the documentation match the program."""

import json
import re
import shlex
import shutil
import subprocess

import pytest

import vouch
from agent_server.commands.client import ClientSettings
from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from contract.examples import DOCUMENTED_ORDER
from contract.schema import FILE_SCHEMA
from http_bridge.settings import HttpSettings
from load_test.keys import VARIABLE as LOAD_KEY
from ml_server.settings import MlSettings
from runtime.error_statuses import STATUSES, reason_name
from runtime.web.settings import WebSettings
from stack.settings import EdgeSettings, StackSettings
from testing.inputs.documents import DOCUMENTS, TEXT
from testing.servers.processes import ROOT, Stack

DOCS = {document.name: text for document, text in DOCUMENTS.items()}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_curl_command_works(stack: Stack) -> None:
    """Each curl example of the documentation, with only the ports changed, gets 200."""
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
    """The gRPC example runs with only the port changed."""
    code = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0].replace("localhost:50052", stack.address("agent"))
    exec(compile(code, "docs/api.md", "exec"), {})


def test_every_column_is_told() -> None:
    """All columns of files are in docs/data.md."""
    words = set(re.findall(r"\w+", DOCS["data.md"]))
    assert set(FILE_SCHEMA.names) <= words
    assert f"The {len(FILE_SCHEMA)} columns" in DOCS["data.md"]


def test_every_setting_is_told() -> None:
    """All settings are in docs/settings.md, and no page names one that does not exist."""
    known = {"VOUCH_MODELS_DIR", LOAD_KEY}
    for settings in (
        AgentSettings, ClientSettings, ConsoleSettings, HttpSettings, MlSettings, StackSettings, EdgeSettings,
        WebSettings,
    ):  # fmt: skip
        known |= set(settings.variables().values())
    assert set(re.findall(r"VOUCH_[A-Z_]+[A-Z]", DOCS["settings.md"])) == known
    assert set(re.findall(r"VOUCH_[A-Z_]+[A-Z]", TEXT)) == known


def test_the_documented_errors_are_those_of_the_table() -> None:
    """docs/api.md has each reason with the statuses in gRPC and REST of the table."""
    rows = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \| (\d+) \|", DOCS["api.md"], re.MULTILINE)
    assert rows == [(reason_name(reason), status.code.name, str(status.http)) for reason, status in STATUSES.items()]


def test_the_documented_order_is_the_contracts() -> None:
    """Each body in a curl example is the order of contract/examples.py."""
    bodies = re.findall(r"-d '(.*?)'", TEXT)
    assert len(bodies) >= 2
    assert all(json.loads(body) == DOCUMENTED_ORDER for body in bodies)


def test_every_command_exists() -> None:
    """Each `vouch` command and each make target in the documentation exists."""
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"\.venv/bin/vouch ([a-z-]+)", TEXT)) <= vouch.COMMANDS.keys()
    for target in set(re.findall(r"\bmake ([a-z-]+)", TEXT)) - {"sure"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_and_file_is_there() -> None:
    """Each link leads to a file, and each file of ours that a page names exists, or is made by a recipe."""
    made = set(re.findall(r"^--- /dev/null\n\+\+\+ b/(\S+)$", DOCS["recipes.md"], re.MULTILINE))
    for document, text in DOCUMENTS.items():
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (document.parent / link).exists(), (document.name, link)
        for name in re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|proto|yaml))`", text):
            assert name in made or (ROOT / name).exists(), (document.name, name)
