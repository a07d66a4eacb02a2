"""The README and the documentation match the program."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

import vouch
from agent_server.commands.client import ClientSettings
from agent_server.commands.policy import main as policy_command
from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from contract.examples import DOCUMENTED_ORDER
from contract.schema import FILE_SCHEMA
from http_bridge.settings import HttpSettings
from load_test.keys import LoadSettings
from ml_server.data.mapping_file import read_mapping
from ml_server.settings import MlSettings
from runtime.error_statuses import STATUSES, reason_name
from runtime.settings import Shared
from runtime.web.settings import WebSettings
from stack.settings import EdgeSettings, StackSettings
from testing.inputs.documents import DOCUMENTS, TEXT
from testing.servers.launching import PYTHON
from testing.servers.processes import ROOT, Stack

DOCS = {document.relative_to(ROOT).as_posix(): text for document, text in DOCUMENTS.items()}
_WORKSHOP = re.findall(r"^\| (`.+?`) \|", DOCS["docs/reference/workshop.md"], re.MULTILINE)
WORKSHOP = set(re.findall(r"`([a-z_/]+\.py)`", "".join(_WORKSHOP)))
"""Files of the workshop document, which are not ours."""


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
    page = "docs/reference/api.md"
    code = re.findall(r"```python\n(.*?)```", DOCS[page], re.DOTALL)[0]
    exec(compile(code.replace("localhost:50052", stack.address("agent")), page, "exec"), {})


def test_the_readme_shows_an_answer(stack: Stack) -> None:
    """Every field of the answer that the README shows is in the answer to the order that it sends."""
    shown = json.loads(re.findall(r"```json\n(.*?)```", DOCS["README.md"], re.DOTALL)[0])
    answer = httpx.post(f"{stack.url('rest_agent')}/api/v1/review", json=DOCUMENTED_ORDER).json()
    assert shown.keys() <= answer.keys()
    assert shown["reasons"][0].keys() <= answer["reasons"][0].keys()


def test_the_policy_and_the_mapping_of_the_tutorials_are_valid(tmp_path: Path) -> None:
    """The policy and the mapping that the tutorials show can be read as written."""
    for page in ("first-policy", "your-own-data"):
        block = re.findall(r"```yaml\n(.*?)```", DOCS[f"docs/tutorials/{page}.md"], re.DOTALL)[0]
        (tmp_path / f"{page}.yaml").write_text(block)
    assert policy_command(["check", str(tmp_path / "first-policy.yaml")]) == 0
    assert read_mapping(tmp_path / "your-own-data.yaml")


def test_every_column_is_documented() -> None:
    """All columns of files are in docs/reference/columns.md."""
    page = DOCS["docs/reference/columns.md"]
    assert set(FILE_SCHEMA.names) <= set(re.findall(r"\w+", page))
    assert f"The {len(FILE_SCHEMA)} columns" in page


def test_every_setting_is_documented() -> None:
    """All settings are in docs/reference/settings.md, and no page names one that does not exist."""
    known = set[str]()
    for settings in (
        AgentSettings, ClientSettings, ConsoleSettings, HttpSettings, MlSettings, StackSettings, EdgeSettings,
        WebSettings, LoadSettings, Shared,
    ):  # fmt: skip
        known |= set(settings.variables().values())
    assert set(re.findall(r"VOUCH_[A-Z_]+[A-Z]", DOCS["docs/reference/settings.md"])) == known
    assert set(re.findall(r"VOUCH_[A-Z_]+[A-Z]", TEXT)) == known


def test_the_documented_errors_are_those_of_the_table() -> None:
    """docs/reference/api.md has each reason with its status in gRPC and in REST, as in the table of statuses."""
    documented = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \| (\d+) \|", DOCS["docs/reference/api.md"], re.MULTILINE)
    assert documented == [
        (reason_name(reason), status.code.name, str(status.http)) for reason, status in STATUSES.items()
    ]


def test_the_documented_order_is_the_contracts() -> None:
    """Each body that the README, the first tutorial and the guide to deployment send is the order of contract/examples.py."""
    pages = ("README.md", "docs/tutorials/first-decision.md", "docs/how-to/deploy.md")
    bodies = [body for page in pages for body in re.findall(r"-d '(.*?)'", DOCS[page], re.DOTALL)]
    assert len(bodies) == 4
    assert all(json.loads(body) == DOCUMENTED_ORDER for body in bodies)


def test_every_command_exists() -> None:
    """Each `vouch` command and each make target in the documentation exists."""
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.findall(r"\.venv/bin/vouch ([a-z-]+)", TEXT)) <= vouch.COMMANDS.keys()
    blocks = "".join(re.findall(r"^```bash\n.*?^```", TEXT, re.MULTILINE | re.DOTALL))
    for target in {*re.findall(r"`make ([a-z-]+)", TEXT), *re.findall(r"^make ([a-z-]+)", blocks, re.MULTILINE)}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_and_file_is_there() -> None:
    """Each link leads to a file, and each file of ours that a page names exists, or is made by a recipe."""
    made = set(re.findall(r"^--- /dev/null\n\+\+\+ b/(\S+)$", DOCS["docs/how-to/recipes.md"], re.MULTILINE))
    for document, text in DOCUMENTS.items():
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (document.parent / link).exists(), (document.name, link)
        for name in re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|proto|yaml))`", text):
            assert name in made or name in WORKSHOP or (ROOT / name).exists(), (document.name, name)


def test_lines_are_short() -> None:
    """Prose has lines of at most 120 characters; tables and code may have longer ones."""
    for page, text in DOCS.items():
        prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
        long = [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")]
        assert not long, (page, long)


def test_the_readme_has_two_screens() -> None:
    """The README has at most 95 lines: what is longer belongs into docs/."""
    assert len(DOCS["README.md"].splitlines()) <= 95


def test_the_reference_is_current() -> None:
    """The pages that docs/generate.py writes are those of the code: commands, columns, metrics, defaults of settings."""
    done = subprocess.run(
        [PYTHON, "docs/generate.py", "--check"],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_site_builds(tmp_path: Path) -> None:
    """`make docs` finds no broken link or anchor, and no page loads anything from another host."""
    command = [PYTHON, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(DOCUMENTS)
    loaded = (
        r"<(?:script|img|iframe)[^>]* src=\"?https?:|<link[^>]* rel=\"?(?:stylesheet|preconnect)[^>]* href=\"?https?:"
    )
    assert not [page for page in pages if re.search(loaded, page.read_text())]


def _environment() -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
    return others | {"NO_MKDOCS_2_WARNING": "1"}
