"""Every scenario of `make chaos` has a short form here."""

import ast
from pathlib import Path

import chaos.__main__ as program

TESTS = Path(__file__).parents[1]
SAME_AS = {"check_all": "check_documents"}
"""Scenarios that only start servers for another one, which tests run on their own servers."""


def _imported(source: str, package: str) -> set[str]:
    """Return the names that a module imports from modules of a package."""
    return {
        name.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}.")
        for name in node.names
    }


def test_every_scenario_runs_in_a_test() -> None:
    """A scenario that is added to `make chaos` without a test with small counts fails here."""
    imported = _imported(Path(program.__file__).read_text(), "chaos")
    scenarios = {name for name in imported if name[0].islower()}  # the rest are classes and constants
    tested: set[str] = set()
    for file in TESTS.rglob("test_*.py"):
        tested |= _imported(file.read_text(), "chaos")
    assert {SAME_AS.get(name, name) for name in scenarios} - tested == set()
