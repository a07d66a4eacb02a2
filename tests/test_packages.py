"""Distributions: wheels with all they need, and working examples."""

import json
import os
import re
import subprocess
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import vouch
from testing.servers.processes import ROOT, Stack, run

EXAMPLES = ROOT / "examples"


def build_wheel(project: Path, folder: Path) -> Path:
    """Return the wheel of a project, made by its own build backend."""
    done = run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=project)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture
def bare_environment(tmp_path: Path) -> Path:
    """Return Python of a new environment with the project's dependencies, but not the project."""
    venv.create(tmp_path / "venv", symlinks=True)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith(("vouch", "_vouch", "__editable__", "_editable")) and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    return tmp_path / "venv" / "bin" / "python"


USE = """
import contextlib, io, json, sys
import agent_server, stack, vouch
from conformance import vector
from stack.up import ROOT


def run_command(*arguments):
    sys.argv, output = ["vouch", *arguments], io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            code = vouch.main()
        except SystemExit as end:
            code = end.code
    assert not code, (arguments, code)
    return output.getvalue()


if __name__ == "__main__":
    assert (ROOT / "Procfile").is_file()
    vector.read()
    help_texts = {command: run_command(command, "--help") for command in vouch.COMMANDS}
    run_command("generate", "--size", "600", "--output", "orders.csv", "--no-validate")
    run_command("train", "--dataset", "orders.csv", "--form", "tables", "--rounds", "5")
    run_command("score", "orders.csv", "--output", "scores.csv")
    files = [module.__file__ for module in (agent_server, stack, vouch)]
    print(json.dumps({"usage": run_command("--help"), "help": help_texts, "files": files}))
"""
"""The commands that must work from the wheel; in one process, since each takes a second of imports."""


def install(wheel: Path, python: Path) -> None:
    """Unpack a wheel of pure Python into an environment, with its command."""
    site = next(python.parent.parent.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top = site / name.split("/")[0]
            if top.is_symlink() and not top.is_dir():
                top.unlink()
            elif top.is_symlink():  # a package that ours adds files to
                source = top.resolve()
                top.unlink()
                top.mkdir()
                for entry in source.iterdir():
                    (top / entry.name).symlink_to(entry)
        archive.extractall(site)


def output_of(python: Path, folder: Path, *arguments: str) -> str:
    """Return the output of a command of the environment, run in a folder outside the project."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VOUCH_", "PYTHON"))}
    done = subprocess.run(
        [str(python), *arguments], cwd=folder, env=clean, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_is_a_working_vouch(tmp_path: Path, bare_environment: Path) -> None:
    """Installed elsewhere, every command prints its usage, data is generated, and a model is trained and scores."""
    install(build_wheel(ROOT, tmp_path / "dist"), bare_environment)
    (tmp_path / "use.py").write_text(USE)
    report = json.loads(output_of(bare_environment, tmp_path, "use.py").splitlines()[-1])
    assert len(report["files"]) == 3
    assert not [file for file in report["files"] if file.startswith(str(ROOT))]
    assert (
        set(re.findall(r"^  ([a-z]\S*)", report["usage"], re.MULTILINE))
        == report["help"].keys()
        == vouch.COMMANDS.keys()
    )
    assert not [command for command, help_text in report["help"].items() if "usage: " not in help_text]
    assert (tmp_path / "scores.csv").stat().st_size > 10_000


def test_the_client_is_a_wheel_of_its_own(tmp_path: Path, bare_environment: Path, stack: Stack) -> None:
    """The examples run with the client's wheel, without server code, against a real edge, with and without asyncio."""
    wheel = build_wheel(ROOT / "clients", tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {
            "vouch_client",
            "generated",
            "vouch_client-0.2.0.dist-info",
        }
    install(wheel, bare_environment)
    edge = stack.address("edge")
    one = output_of(bare_environment, tmp_path, str(EXAMPLES / "review.py"), edge)
    assert one.startswith("DECISION_") and "INVALID_REQUEST {'transaction.order_amount'" in one
    assert output_of(bare_environment, tmp_path, str(EXAMPLES / "review_many.py"), edge).startswith("{'DECISION_")


def test_a_call_by_reflection_alone(stack: Stack, tmp_path: Path) -> None:
    """By the edge's reflection, an order is decided without a stub."""
    done = run(str(EXAMPLES / "by_reflection.py"), stack.address("edge"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    output = done.stdout
    assert "vouch.v1.AgentService" in output and '"transaction_id": "reflected-1"' in output


def test_the_notebook_runs(tmp_path: Path) -> None:
    """All cells run unchanged, but with fewer orders and rounds, in a separate folder: data, model, figures, scores."""
    cells = json.loads((EXAMPLES / "train_and_score.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 4
    whole = "\n".join(code)
    for option, few in (
        ("size=4000", "size=900"),
        ("[:3000]", "[:600]"),
        ("[3000:]", "[600:]"),
        ("rounds=60", "rounds=5"),
    ):
        assert whole.count(option) == 1
        whole = whole.replace(option, few)
    (tmp_path / "notebook.py").write_text(whole)
    done = run("notebook.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "roc_auc" in done.stdout
