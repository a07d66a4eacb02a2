"""docs/reference/python.md."""

import re
from pathlib import Path

import pytest

import vouch
from testing.servers.launching import ROOT

PAGE = (ROOT / "docs" / "reference" / "python.md").read_text()


def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's examples run one after another, as in a notebook."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        exec(compile(block, "python.md", "exec"), names)


def test_the_page_lists_the_api() -> None:
    """Every public method of Model is in the table, and every name of the API is on the page."""
    own = {name for name in vars(vouch.Model) if not name.startswith("_")} - {"set_fit_request", "set_score_request"}
    listed = set(re.findall(r"^\| `(?:Model\.)?(\w+)\(", PAGE, re.MULTILINE))
    assert own == listed
    assert all(f"## `{name}`" in PAGE for name in ("generate", "Model", "history"))
