"""What is shipped: wheels that hold all they need, and examples that do what they say."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from testing.servers.processes import PYTHON, ROOT, Stack

EXAMPLES = ROOT / "examples"


def built(project: Path, folder: Path) -> Path:
    """The wheel of a project, made by its own build backend."""
    command = [PYTHON, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Python of a new environment that has what the project depends on, and nothing of the project."""
    venv.create(tmp_path / "venv", symlinks=True)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith(("vouch", "_vouch", "__editable__", "_editable")) and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    return tmp_path / "venv" / "bin" / "python"


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


def ran(python: Path, folder: Path, *arguments: str) -> str:
    """What a command of the environment prints, in a folder that is not the project's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VOUCH_", "PYTHON"))}
    done = subprocess.run(
        [str(python), *arguments], cwd=folder, env=clean, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_is_a_working_vouch(tmp_path: Path, bare: Path) -> None:
    """Installed where the project is not: every command says what it takes, data is made, a model is trained and scores."""
    install(built(ROOT, tmp_path / "dist"), bare)
    vouch = ("-c", "import sys, vouch; sys.exit(vouch.main())")
    assert str(ROOT) not in ran(
        bare, tmp_path, "-c", "import vouch, agent_server, stack; print(vouch.__file__, stack.__file__)"
    )
    for command in re.findall(r"^  (\S+)", ran(bare, tmp_path, *vouch, "--help"), re.MULTILINE):
        assert "usage: " in ran(bare, tmp_path, *vouch, command, "--help")
    ran(bare, tmp_path, *vouch, "generate", "--size", "600", "--output", "orders.csv", "--no-validate")
    ran(bare, tmp_path, *vouch, "train", "--dataset", "orders.csv", "--rounds", "20")
    ran(bare, tmp_path, *vouch, "score", "orders.csv", "--output", "scores.csv")
    assert (tmp_path / "scores.csv").stat().st_size > 10_000
    ran(
        bare,
        tmp_path,
        "-c",
        "from stack.up import ROOT; assert (ROOT / 'Procfile').is_file(); import conformance.vector as v; v.read()",
    )


def test_the_client_is_a_wheel_of_its_own(tmp_path: Path, bare: Path, stack: Stack) -> None:
    """Stubs and policy without a server: the examples run with it against a real edge, synchronously and with asyncio."""
    wheel = built(ROOT / "clients", tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {
            "vouch_client",
            "generated",
            "vouch_client-0.2.0.dist-info",
        }
    install(wheel, bare)
    edge = stack.address("edge")
    one = ran(bare, tmp_path, str(EXAMPLES / "review.py"), edge)
    assert one.startswith("DECISION_") and "INVALID_REQUEST {'transaction.order_amount'" in one
    assert ran(bare, tmp_path, str(EXAMPLES / "review_many.py"), edge).startswith("{'DECISION_")


def test_a_call_by_reflection_alone(stack: Stack, tmp_path: Path) -> None:
    """The edge tells what it takes, and an order is decided without a stub."""
    told = ran(Path(PYTHON), tmp_path, str(EXAMPLES / "by_reflection.py"), stack.address("edge"))
    assert "vouch.v1.AgentService" in told and '"transaction_id": "reflected-1"' in told


def test_the_notebook_runs(tmp_path: Path) -> None:
    """Cell by cell, in a folder of its own: data, model, figures, scores."""
    cells = json.loads((EXAMPLES / "train_and_score.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 4
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "roc_auc" in done.stdout
