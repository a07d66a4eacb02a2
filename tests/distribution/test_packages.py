"""Distributions: wheels with all they need, and working examples."""

import contextlib
import json
import re
from pathlib import Path

import httpx
import pytest

import vouch
from testing.distribution.environments import InstalledStack, build_wheel, environment_of, output_of, unpack
from testing.servers.processes import ROOT, Stack, run

EXAMPLES = ROOT / "examples"
FIRST = {
    "transaction_id": "t-1",
    "timestamp": "2025-02-11T10:00:00",
    "user_id": "u-1",
    "order_amount": 299.99,
    "new_device": True,
}


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


MESSAGES = """
import io, contextlib, json, sys
import vouch, vouch_client
from generated.vouch.v1.agent_service_pb2 import ReviewRequest

found = {}
for command in vouch.COMMANDS:
    sys.argv, errors = ["vouch", command, "--help"], io.StringIO()
    with contextlib.redirect_stderr(errors):
        found[command] = vouch.main(), errors.getvalue()
try:
    from vouch import Model
except ImportError as error:
    found["Model"] = 2, str(error)
print(json.dumps({"messages": found, "modules": [*sys.modules]}))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the content of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    return unpack(build_wheel(ROOT, folder / "dist"), folder / "site")


def test_the_wheel_is_a_working_vouch(tmp_path: Path, unpacked: Path) -> None:
    """With `all`, every command prints its usage, data is generated, and a model is trained and scores."""
    python = environment_of("all", tmp_path / "venv", unpacked)
    (tmp_path / "use.py").write_text(USE)
    report = json.loads(output_of(python, tmp_path, "use.py").splitlines()[-1])
    assert len(report["files"]) == 3
    assert not [file for file in report["files"] if file.startswith(str(ROOT))]
    assert (
        set(re.findall(r"^  ([a-z]\S*)", report["usage"], re.MULTILINE))
        == report["help"].keys()
        == vouch.COMMANDS.keys()
    )
    assert not [command for command, help_text in report["help"].items() if "usage: " not in help_text]
    assert (tmp_path / "scores.csv").stat().st_size > 10_000


def test_the_wheel_installs_one_folder(unpacked: Path) -> None:
    """In site-packages are one folder, the line that adds it to the path, and the metadata: nothing can collide."""
    assert {entry.name for entry in unpacked.iterdir()} == {
        "vouch",
        "vouch.pth",
        f"vouch-{vouch.__version__}.dist-info",
    }
    assert (unpacked / "vouch.pth").read_text().split() == ["vouch", "vouch/clients"]


def test_without_extras_each_command_names_its_extra(tmp_path: Path, unpacked: Path) -> None:
    """The client is complete without an extra; each command and the Python API name the extra, without a traceback."""
    python = environment_of("", tmp_path / "venv", unpacked)
    report = json.loads(output_of(python, tmp_path, "-c", MESSAGES))
    for command, (code, message) in report["messages"].items():
        extra = vouch.EXTRAS.get(command, "train" if command == "Model" else "all")
        name = "vouch.Model" if command == "Model" else f"vouch {command}"
        kind = "extras" if "," in extra else "extra"
        assert (code, message.strip()) == (2, f"{name} needs the {kind} \"{extra}\"; pip install 'vouch[{extra}]'")
    assert "numpy" not in report["modules"]
    assert "vouch train needs the extra \"train\"; pip install 'vouch[train]'" in report["messages"]["train"][1]


def test_packages_with_our_names_do_no_harm(tmp_path: Path, unpacked: Path) -> None:
    """Commands work next to a package of another distribution that has the name of one of ours."""
    python = environment_of("server", tmp_path / "venv", unpacked)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    for name in ("runtime", "contract", "stack"):
        (site / f"{name}.py").write_text("raise SystemExit('another package')\n")
    assert "usage: vouch keys" in output_of(python, tmp_path, "-m", "vouch", "keys", "--help")


def test_each_service_needs_only_its_extra(tmp_path: Path, unpacked: Path, models: Path, few: Path) -> None:
    """Services from one environment per extra decide orders of the client, of REST and of the load test."""
    extras = ("", "scorer", "agent", "edge", "console", "load")
    python = {extra: environment_of(extra, tmp_path / f"venv-{extra}", unpacked) for extra in extras}
    services = {
        "ml": "scorer",
        "agent": "agent",
        "rest_ml": "edge",
        "rest_agent": "edge",
        "edge": "edge",
        "console": "console",
    }
    stack = InstalledStack(tmp_path, models, pythons={name: python[extra] for name, extra in services.items()})
    with contextlib.closing(stack):
        stack.start(*services)
        stack.wait_until_healthy()
        one = output_of(python[""], tmp_path, str(EXAMPLES / "review.py"), stack.address("edge"))
        assert one.startswith("DECISION_")
        first = httpx.post(f"{stack.url('rest_agent')}/api/v1/review", json=FIRST)
        assert first.status_code == 200
        assert first.json()["decision"] in ("approve", "deny", "review")
        options = ("--dataset", str(few), "--rate", "20", "--duration", "1", "--api-url", stack.url("rest_agent"))
        assert "latency" in output_of(python["load"], tmp_path, "-m", "vouch", "load", *options)


def test_the_client_is_a_wheel_of_its_own(tmp_path: Path, stack: Stack) -> None:
    """The examples run with the client's wheel, without server code, against a real edge, with and without asyncio."""
    unpacked = unpack(build_wheel(ROOT / "clients", tmp_path / "dist"), tmp_path / "site")
    assert {entry.name for entry in unpacked.iterdir()} == {"vouch_client", "generated", "vouch_client-0.2.0.dist-info"}
    python = environment_of("", tmp_path / "venv", unpacked)
    edge = stack.address("edge")
    one = output_of(python, tmp_path, str(EXAMPLES / "review.py"), edge)
    assert one.startswith("DECISION_")
    assert "INVALID_REQUEST {'transaction.order_amount'" in one
    assert output_of(python, tmp_path, str(EXAMPLES / "review_many.py"), edge).startswith("{'DECISION_")


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
