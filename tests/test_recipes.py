"""docs/how-to/recipes.md works: each recipe is run, as written, in a copy of the project."""

import multiprocessing
import os
import re
import runpy
import shutil
import subprocess
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from testing.inputs.documents import DOCUMENTS
from testing.project_copy import copy_project
from testing.servers.processes import ROOT

TEXT = DOCUMENTS[ROOT / "docs/how-to/recipes.md"]
RECIPES = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
TABLE = {
    title: set(re.findall(r"`([^`]+)`", row)) for title, row in re.findall(r"^\| \[(.+?)\]\S+ \| (.*) \|$", TEXT, re.M)
}
BLOCK = re.compile(r"^```(diff|bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GIT = shutil.which("git")
# A diff is located by the text around its lines: their numbers change as the project grows.
COMMANDS = {"diff": ["git", "apply", "--unidiff-zero", "-C1", "-"], "bash": ["bash", "-e", "-s"]}
# Most of the time of a check is importing these: done once, in a process that all checks are forked from.
FOREIGN = [
    "fastapi_offline",
    "grpc.aio",
    "lightgbm",
    "protovalidate",
    "pyarrow.parquet",
    "rich.progress",
    "sklearn.isotonic",
    "sqlalchemy",
]
PRELUDE = """
import os, sys
os.chdir({project!r})
sys.path.insert(0, os.getcwd())
os.dup2(os.open("check.log", os.O_CREAT | os.O_WRONLY), 1)
os.dup2(1, 2)
import data_gen
assert data_gen.__file__.startswith(os.getcwd())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the project, with the environment of this process as its .venv."""
    return copy_project(tmp_path)


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Run processes with the third-party packages loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(FOREIGN)
    return context


def run_step(kind: str, block: str, project: Path) -> tuple[int, str]:
    """Return exit code and output of applying a diff, or of running commands."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VOUCH_", "GIT_"))}
    done = subprocess.run(
        COMMANDS[kind],
        input=block,
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def run_check(block: str, project: Path, forks: ForkServerContext) -> tuple[int | None, str]:
    """Return exit code and output of a check."""
    script = project / "check.py"
    script.write_text(PRELUDE.format(project=str(project)) + block)
    process = forks.Process(target=runpy.run_path, args=(str(script),))
    process.start()
    process.join(120)
    return process.exitcode, (project / "check.log").read_text()


@pytest.mark.skipif(GIT is None or not (ROOT / ".git").exists(), reason="the project is not kept by git here")
@pytest.mark.parametrize("title", RECIPES)
def test_the_recipe_works(title: str, project: Path, forks: ForkServerContext) -> None:
    """The diffs apply, the commands run, and the check passes."""
    blocks = BLOCK.findall(RECIPES[title])
    assert [kind for kind, _ in blocks if kind != "bash"] == ["diff", "python"]
    for kind, block in blocks:
        code, output = run_check(block, project, forks) if kind == "python" else run_step(kind, block, project)
        assert code == 0, (title, kind, output[-3000:])


def test_each_recipe_names_the_files_it_touches() -> None:
    """The table names, for each recipe, exactly the files that its diffs change or create."""
    assert [title.casefold() for title in RECIPES] == [title.casefold() for title in TABLE]
    for (title, steps), named in zip(RECIPES.items(), TABLE.values(), strict=True):
        assert named == set(re.findall(r"^\+\+\+ b/(\S+)$", steps, re.MULTILINE)), title
